"""The model as sentence-transformers runs it, on CPU or GPU."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from recsys.embedding.batches import Tokenization

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

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
        try:
            for batch in self._tokenization.batches(texts, self._plan.batch_tokens):
                features = {"input_ids": batch.token_ids, "attention_mask": batch.mask}
                tensors = {name: torch.from_numpy(array).to(self._plan.device) for name, array in features.items()}
                lower = self._plan.precision == "bfloat16"
                kind = self._plan.device.partition(":")[0]
                with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=lower):
                    vectors = self._model(tensors)["sentence_embedding"]
                yield batch.places, vectors.float().cpu().numpy()
        finally:
            torch.set_num_threads(threads)


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
