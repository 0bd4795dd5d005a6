"""The model compiled by OpenVINO: the fastest way on a CPU."""

from __future__ import annotations

import logging
import queue
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.embedding.batches import Tokenization
from recsys.embedding.torch_engine import load_sentence_transformer
from recsys.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from recsys.embedding.batches import TokenBatch
    from recsys.embedding.model import ModelFolder
    from recsys.embedding.plan import Plan

log = logging.getLogger(__name__)

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoEngine:
    """Runs a sentence-transformers model under OpenVINO, one stream of batches for each core.

    A stream has a core of its own and never waits for the others, unlike threads that share each
    matrix product.

    Parameters
    ----------
    folder
        Of the model.
    plan
        Precision and threads.
    batch_tokens
        Tokens in a batch, padding included.
    """

    def __init__(self, folder: ModelFolder, plan: Plan, batch_tokens: int) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingExtra("openvino", "content.engine = openvino") from error
        hints = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[plan.precision],
            "NUM_STREAMS": str(plan.threads),
            "INFERENCE_NUM_THREADS": str(plan.threads),
        }
        self._compiled = openvino.Core().compile_model(_converted(folder), "CPU", hints)
        self._tokenization = Tokenization(folder.path, folder.max_tokens)
        self._streams = plan.threads
        self._batch_tokens = batch_tokens

    def embed(self, texts: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """See :meth:`recsys.embedding.engine.Engine.embed`."""
        import openvino

        done: queue.SimpleQueue[tuple[NDArray[np.intp], NDArray[np.float32]]] = queue.SimpleQueue()

        def collect(request: Any, batch: TokenBatch) -> None:
            done.put((batch.places, np.array(request.get_output_tensor(0).data, dtype=np.float32)))

        streams = openvino.AsyncInferQueue(self._compiled, self._streams)
        streams.set_callback(collect)
        for batch in self._tokenization.batches(texts, self._batch_tokens):
            streams.start_async({0: batch.token_ids, 1: batch.mask}, batch)
            while not done.empty():
                yield done.get()
        streams.wait_all()
        while not done.empty():
            yield done.get()


def _converted(folder: ModelFolder) -> Any:
    """Return the model, pooling and normalisation included, as an OpenVINO model of (token ids, mask)."""
    import openvino
    import torch

    model = load_sentence_transformer(folder, "cpu")

    class Sentence(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            vectors: torch.Tensor = self.model(features)["sentence_embedding"]
            return vectors

    example = {name: torch.ones((2, 16), dtype=torch.int64) for name in ("input_ids", "attention_mask")}
    inputs = [(name, [-1, -1], openvino.Type.i64) for name in example]
    return openvino.convert_model(Sentence(), example_input=example, input=inputs)
