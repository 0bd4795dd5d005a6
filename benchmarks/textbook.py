"""The baseline: the pipeline as people write it today, every library with its defaults.

    python -m benchmarks.textbook FOLDER [OUTPUT]

pandas reads the marts, ``encode()`` embeds, ``astype("category")`` makes codes, implicit's ALS fits. Needs the extra
``torch``.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp
    from numpy.typing import NDArray


def texts(games: pd.DataFrame) -> list[str]:
    """Return name, categories, mechanics and description of each game with their prefixes."""
    columns = [games[name].fillna("") for name in ("NAME", "CATEGORIES", "MECHANICS", "DESCRIPTION")]
    return [
        f"Name: {n}; Categories: {c}; Mechanics: {m}; Description: {d}" for n, c, m, d in zip(*columns, strict=True)
    ]


def embed(some: list[str]) -> NDArray[np.float32]:
    """Embed texts with the defaults of ``encode()``."""
    from sentence_transformers import SentenceTransformer

    from recsys.embedding.model import find_model

    model = SentenceTransformer(str(find_model().path), device="cpu", local_files_only=True)
    vectors: NDArray[np.float32] = model.encode(some, show_progress_bar=False)
    return vectors


def matrix(folder: Path) -> tuple[sp.csr_matrix, Any, Any]:
    """Read the ratings and return the CSR matrix with both categorical columns."""
    import pandas as pd
    import scipy.sparse as sp

    ratings = pd.read_parquet(folder / "mart_user_ratings.parquet")
    users, items = ratings["USER_ID"].astype("category").cat, ratings["GAME_ID"].astype("category").cat
    return sp.csr_matrix((ratings["RATING"].astype("float32"), (users.codes, items.codes))), users, items


def run(folder: Path, output: Path) -> None:
    """Train both models and write the four files."""
    import faiss
    import pandas as pd
    from implicit.als import AlternatingLeastSquares

    output.mkdir(parents=True, exist_ok=True)
    games = pd.read_parquet(folder / "mart_games.parquet")
    vectors = embed(texts(games))
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)
    faiss.write_index(index, str(output / "rag_index.faiss"))
    (output / "metadata.json").write_text(json.dumps({"ids": games["GAME_ID"].tolist()}))
    ratings, users, items = matrix(folder)
    model = AlternatingLeastSquares()
    model.fit(ratings, show_progress=False)
    (output / "cf_model.pkl").write_bytes(pickle.dumps(model))
    mappings = {
        "user_id_to_idx": {str(id_): code for code, id_ in enumerate(users.categories)},
        "item_id_to_idx": {str(id_): code for code, id_ in enumerate(items.categories)},
    }
    (output / "cf_mappings.json").write_text(json.dumps(mappings))


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "models-textbook"))
