"""One measured step, in a process of its own: its memory is nobody else's.

    python -m benchmarks.steps STEP SIDE FOLDER [TEXTS]

Prints ``{"seconds": …, "cpu_seconds": …, "peak_mb": …}``. Imports happen before the clock starts, but for
whole commands, which are measured from the start of their process.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import textbook
from recsys.system.steps import peak_memory_mb

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGED = 0.01
"""Share of the games whose description is another one than last night's."""
SCRATCH = Path(tempfile.gettempdir()) / f"recsys-bench-{os.getpid()}"
"""Emptied and removed at the end of the step."""
ALS = {"factors": 64, "iterations": 12, "regularization": 0.01}
"""Settings that a bare ``implicit.fit`` and ``train_cf_model`` are both given."""


def encode(side: str, folder: Path, count: int) -> Callable[[], object]:
    """Embed a sample of the games' texts, nothing cached; the model is loaded before.

    Ours follows ``RECSYS_CONTENT__ENGINE`` and ``RECSYS_CONTENT__PRECISION``.
    """
    import numpy as np
    import pandas as pd

    from recsys.config import load_settings
    from recsys.embedding import open_encoder
    from recsys.embedding.model import find_model

    games = pd.read_parquet(folder / "mart_games.parquet")
    some = textbook.texts(games.sample(min(count, len(games)), random_state=0))
    if side == "textbook":
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(find_model().path), device="cpu", local_files_only=True)
        model.encode(some[:2])
        return lambda: np.asarray(model.encode(some, show_progress_bar=False))
    encoder = open_encoder(load_settings(overrides=["content.cache_mb=0"]).content)
    encoder.encode(some[:2])
    return lambda: encoder.encode(some)


def fetch(side: str, folder: Path, _: int) -> Callable[[], object]:
    """From Parquet to the CSR matrix; ours checks the data contract on the way."""
    import pandas  # noqa: F401, ICN001 - imported before the clock starts
    import scipy.sparse  # noqa: F401

    if side == "textbook":
        return lambda: textbook.matrix(folder)

    from recsys.config import Settings
    from recsys.marts.ratings import Ratings
    from recsys.trainer import Trainer

    trainer = Trainer({}, source=str(folder), settings=Settings())
    query = "SELECT USER_ID, GAME_ID, RATING FROM ANALYTICS.MART_USER_RATINGS"
    return lambda: Ratings.from_frame(trainer._fetch_data(query), trainer.settings.data)  # noqa: SLF001


def cf(side: str, folder: Path, _: int, solver: str = "ials") -> Callable[[], object]:
    """Run the whole ``train_cf_model``, source to files, beside implicit's bare ``fit`` on a ready matrix."""
    from recsys.config import Settings

    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if side == "textbook":
        from implicit.als import AlternatingLeastSquares

        ready = textbook.matrix(folder)[0]
        model = AlternatingLeastSquares(**ALS)
        return lambda: model.fit(ready, show_progress=False)
    import implicit.als  # noqa: F401
    import pandas  # noqa: F401, ICN001

    from recsys.trainer import Trainer

    settings = Settings(cf={**ALS, "tuning": "off", "solver": solver})
    output = SCRATCH / "models"
    return lambda: Trainer({}, output, source=str(folder), settings=settings).train_cf_model()


def cf_implicit(side: str, folder: Path, count: int) -> Callable[[], object]:
    """Run the same with implicit's own solver on both sides: what is left is what surrounds it."""
    return cf(side, folder, count, "implicit")


def night(side: str, folder: Path, _: int) -> Callable[[], object]:
    """Run a whole night: one text in a hundred is new since the night before; the textbook knows no night before."""
    if side == "textbook":
        return lambda: child("-m", "benchmarks.textbook", str(folder), str(SCRATCH))
    # Generated ratings hold no taste that a gate could see.
    train = ("-m", "recsys", "train", "--publish-anyway", "measured", "--output", str(SCRATCH / "models"), "--source")
    child(*train, str(folder))
    tonight = change_texts(folder, SCRATCH / "marts")
    return lambda: child(*train, str(tonight))


def change_texts(folder: Path, into: Path) -> Path:
    """Copy both marts, a hundredth of the descriptions begun with other words than ever before."""
    import numpy as np
    import pandas as pd

    into.mkdir()
    games = pd.read_parquet(folder / "mart_games.parquet")
    some = np.random.default_rng(0).choice(len(games), max(1, round(CHANGED * len(games))), replace=False)
    described = games["DESCRIPTION"].fillna("").to_numpy(dtype=object)
    described[some] = f"As told on {time.strftime('%c')}: " + described[some]
    games["DESCRIPTION"] = described
    games.to_parquet(into / "mart_games.parquet")
    (into / "mart_user_ratings.parquet").symlink_to((folder / "mart_user_ratings.parquet").resolve())
    return into


def imports(side: str, _: Path, __: int) -> Callable[[], object]:
    """``recsys --help`` in a fresh process; the textbook's imports beside it."""
    theirs = "import pandas, scipy.sparse, faiss, implicit.als, sentence_transformers"
    command = ("-c", theirs) if side == "textbook" else ("-m", "recsys", "--help")
    return lambda: child(*command)


def child(*arguments: str) -> dict[str, float]:
    """Run Python in a process of its own, and return what it took."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{arguments}: ended with {os.waitstatus_to_exitcode(status)}")
    return {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss * 1024 / 1e6}


WORK = {"encode": encode, "fetch": fetch, "cf": cf, "cf-implicit": cf_implicit, "night": night, "imports": imports}


def main() -> None:
    """Measure the step that the command line names."""
    step, side, folder, count = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    SCRATCH.mkdir()
    atexit.register(shutil.rmtree, SCRATCH)
    work = WORK[step](side, folder, count)
    cpu, began = time.process_time(), time.perf_counter()
    result = work()
    seconds = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    whole = result if isinstance(result, dict) else {}
    print(json.dumps({**seconds, "peak_mb": peak_memory_mb(), **whole}))


if __name__ == "__main__":
    main()
