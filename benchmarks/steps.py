"""One measured step, in a process of its own: its memory is nobody else's.

    python -m benchmarks.steps STEP SIDE FOLDER [TEXTS]

Prints ``{"seconds": …, "cpu_seconds": …, "peak_mb": …}``. Imports happen before the clock starts.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import textbook
from recsys.steps import peak_memory_mb

if TYPE_CHECKING:
    from collections.abc import Callable


def encode(side: str, folder: Path, count: int) -> Callable[[], object]:
    """Embed a sample of the games' texts, nothing cached; the model is loaded before."""
    import numpy as np
    import pandas as pd

    from recsys.config import ContentSettings
    from recsys.embedding import open_encoder
    from recsys.embedding.model import find_model

    games = pd.read_parquet(folder / "mart_games.parquet")
    some = textbook.texts(games.sample(min(count, len(games)), random_state=0))
    if side == "textbook":
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(find_model().path), device="cpu", local_files_only=True)
        model.encode(some[:2])
        return lambda: np.asarray(model.encode(some, show_progress_bar=False))
    encoder = open_encoder(ContentSettings(cache_mb=0))
    encoder.encode(some[:2])
    return lambda: encoder.encode(some)


def fetch(side: str, folder: Path, _: int) -> Callable[[], object]:
    """From Parquet to the CSR matrix; ours checks the data contract on the way."""
    import pandas  # noqa: F401, ICN001 - imported before the clock starts
    import scipy.sparse  # noqa: F401

    if side == "textbook":
        return lambda: textbook.matrix(folder)

    from recsys.config import Settings
    from recsys.data import Report, check_ratings
    from recsys.trainer import Trainer

    trainer = Trainer({}, source=str(folder), settings=Settings())
    query = "SELECT USER_ID, GAME_ID, RATING FROM ANALYTICS.MART_USER_RATINGS"
    return lambda: check_ratings(trainer._fetch_data(query), trainer.settings.data, Report())  # noqa: SLF001


def imports(side: str, _: Path, __: int) -> Callable[[], object]:
    """``recsys --help`` in a fresh process; the textbook's imports beside it."""
    import subprocess

    theirs = "import pandas, scipy.sparse, faiss, implicit.als, sentence_transformers"
    command = ["-c", theirs] if side == "textbook" else ["-m", "recsys", "--help"]
    return lambda: subprocess.run([sys.executable, *command], check=True, capture_output=True)


def main() -> None:
    """Measure the step that the command line names."""
    step, side, folder, count = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    work = {"encode": encode, "fetch": fetch, "imports": imports}[step](side, folder, count)
    cpu, began = time.process_time(), time.perf_counter()
    work()
    seconds = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps({**seconds, "peak_mb": peak_memory_mb()}))


if __name__ == "__main__":
    main()
