"""The model as sentence-transformers runs it, on CPU or GPU."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from recsys.embedding.batches import Tokenization

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

    from recsys.embedding.batches import TokenBatch
    from recsys.embedding.model import ModelFolder
    from recsys.embedding.plan import Plan
    from recsys.embedding.processors import Precision


class TorchEngine:
    """Runs the modules of a sentence-transformers model under torch; bfloat16 through autocast.

    Parameters
    ----------
    folder
        The model's folder.
    plan
        Device, precision, threads and tokens in a batch.
    """

    def __init__(self, folder: ModelFolder, plan: Plan) -> None:
        self._model = load_sentence_transformer(folder, plan.device)
        self._tokenization = Tokenization(folder.path, folder.max_tokens)
        self._plan = plan
        self.precision: Precision = plan.precision

    def embed(self, texts: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """See :meth:`recsys.embedding.engine.Engine.embed`."""
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(self._plan.threads)
        # A GPU waits for tokens, not for the cores; it has its next batch before the last one is copied back.
        workers = 1 if self._plan.device == "cpu" else self._plan.threads
        try:
            last: tuple[NDArray[np.intp], torch.Tensor] | None = None
            for batch in self._tokenization.batches(texts, self._plan.batch_tokens, workers):
                vectors = self._vectors(batch)
                if last is not None:
                    yield last[0], last[1].float().cpu().numpy()
                last = batch.places, vectors
            if last is not None:
                yield last[0], last[1].float().cpu().numpy()
        finally:
            torch.set_num_threads(threads)

    def _vectors(self, batch: TokenBatch) -> torch.Tensor:
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel

        features = {"input_ids": batch.token_ids, "attention_mask": batch.mask}
        tensors = {name: torch.from_numpy(array).to(self._plan.device) for name, array in features.items()}
        kind, lower = self._plan.device.partition(":")[0], self._plan.precision == "bfloat16"
        # cuDNN's attention plans anew for every shape of a batch, and nearly every batch has its own.
        attention = sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.MATH])
        with torch.inference_mode(), attention, torch.autocast(kind, torch.bfloat16, enabled=lower):
            vectors: torch.Tensor = self._model(tensors)["sentence_embedding"]
        return vectors


def load_sentence_transformer(folder: ModelFolder, device: str) -> SentenceTransformer:
    """Load the model without asking the hub, which is otherwise asked even where every file is here."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    # Its bar for the 103 weights flashes by on stderr, also where that is no terminal.
    disable_progress_bar()
    model = SentenceTransformer(str(folder.path), device=device, local_files_only=True)
    model.max_seq_length = folder.max_tokens
    return model.eval()
