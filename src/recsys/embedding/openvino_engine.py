"""The model compiled by OpenVINO: the fastest way on a CPU."""

from __future__ import annotations

import queue
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.embedding.batches import Tokenization
from recsys.embedding.openvino_bert import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from recsys.embedding.batches import TokenBatch
    from recsys.embedding.model import ModelFolder
    from recsys.embedding.plan import Plan
    from recsys.embedding.processors import Precision

_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}


def computes_bfloat16() -> bool:
    """Return whether OpenVINO computes in bfloat16 on this CPU; where not, it takes float32 and says nothing."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoEngine:
    """Runs a sentence-transformers model under OpenVINO, one stream of batches for each core.

    A stream has a core of its own and never waits for the others, unlike threads that share each
    matrix product.

    Parameters
    ----------
    folder
        The model's folder: one that :func:`recsys.embedding.openvino_bert.is_mean_pooled_bert` says yes to.
    plan
        Precision, threads and tokens in a batch.
    """

    def __init__(self, folder: ModelFolder, plan: Plan) -> None:
        import openvino

        hints = {
            "INFERENCE_PRECISION_HINT": _HINTS[plan.precision],
            "NUM_STREAMS": str(plan.threads),
            "INFERENCE_NUM_THREADS": str(plan.threads),
        }
        compiled = openvino.Core().compile_model(build(folder.path), "CPU", hints)
        lower = compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16
        self.precision: Precision = "bfloat16" if lower else "float32"
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(plan.threads):
            self._idle.put(compiled.create_infer_request())
        self._tokenization = Tokenization(folder.path, folder.max_tokens)
        self._streams = plan.threads
        self._batch_tokens = plan.batch_tokens

    def embed(self, texts: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """See :meth:`recsys.embedding.engine.Engine.embed`."""
        # Not openvino.AsyncInferQueue: freeing it waits for its callbacks, which wait for the interpreter's
        # lock, which the freeing thread holds: on a busy machine the process hung for ever.
        with ThreadPoolExecutor(self._streams, thread_name_prefix="encoding") as streams:
            running: deque[Future[NDArray[np.float32]]] = deque()
            places: deque[NDArray[np.intp]] = deque()
            for batch in self._tokenization.batches(texts, self._batch_tokens):
                running.append(streams.submit(self._infer, batch))
                places.append(batch.places)
                if len(running) > 2 * self._streams:
                    yield places.popleft(), running.popleft().result()
            while running:
                yield places.popleft(), running.popleft().result()

    def _infer(self, batch: TokenBatch) -> NDArray[np.float32]:
        request = self._idle.get()
        try:
            request.infer({0: batch.token_ids, 1: batch.mask})
            return np.array(request.get_output_tensor(0).data, dtype=np.float32)
        finally:
            self._idle.put(request)
