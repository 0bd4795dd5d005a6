"""A fingerprint tells data apart, and rows in another order not."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.marts.ratings import Ratings
from recsys.pipeline.provenance import code_digest, git_commit, versions
from recsys.release.fingerprint import games_fingerprint, ratings_fingerprint

if TYPE_CHECKING:
    from pathlib import Path


def of(frame: pd.DataFrame) -> str:
    """Return the fingerprint of a frame of ratings."""
    ratings = Ratings.from_frame(frame)
    return ratings_fingerprint(ratings.users, ratings.items, ratings.matrix, ratings.rated_at)


def frame(rows: int = 500, seed: int = 0) -> pd.DataFrame:
    """Return ratings with distinct pairs."""
    rng = np.random.default_rng(seed)
    pairs = rng.choice(100 * 100, rows, replace=False)
    return pd.DataFrame({"USER_ID": pairs // 100, "GAME_ID": pairs % 100, "RATING": rng.integers(1, 11, rows) / 1.0})


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_order_of_rows_does_not_count(seed: int) -> None:
    """A warehouse promises none."""
    assert of(frame().sample(frac=1, random_state=seed)) == of(frame())


@pytest.mark.parametrize("chunk", [1, 2, 7, 499, 500, 501])
def test_it_does_not_depend_on_how_rows_are_cut_into_pieces(chunk: int) -> None:
    """Rows are hashed in pieces that end within a user, too."""
    ratings = Ratings.from_frame(frame())
    assert ratings_fingerprint(ratings.users, ratings.items, ratings.matrix, chunk=chunk) == of(frame())


@pytest.mark.parametrize("column", ["USER_ID", "GAME_ID", "RATING"])
def test_every_single_change_counts(column: str) -> None:
    """One value changed anywhere, one row more or less: another fingerprint each time."""
    original = frame(60)
    seen = {of(original)}
    for row in range(len(original)):
        changed = original.copy()
        changed.loc[row, column] = 0.5 if column == "RATING" else 1000 + row
        seen.add(of(changed))
        seen.add(of(original.drop(row)))
    assert len(seen) == 1 + 2 * len(original)


def test_exchanged_values_count() -> None:
    """The same users, games and ratings in other pairs are other data; so are users taken for games."""
    original = frame(60)
    turned = original.assign(RATING=np.roll(original["RATING"], 1))
    swapped = original.rename(columns={"USER_ID": "GAME_ID", "GAME_ID": "USER_ID"})
    assert len({of(original), of(turned), of(swapped)}) == 3


def test_ids_count_as_they_are() -> None:
    """Numbers, texts and numbers beyond 2^63 are told apart; unused categories are not looked at."""
    original = frame(60)
    prints = [
        of(original),
        of(original.assign(USER_ID=original["USER_ID"].astype(str))),
        of(original.assign(USER_ID=[2**70 + user for user in original["USER_ID"]])),
    ]
    assert len(set(prints)) == 3
    categorical = original.assign(USER_ID=pd.Categorical(original["USER_ID"], categories=range(-50, 200)))
    assert of(categorical) == prints[0]


def test_times_count_where_there_are_any() -> None:
    """A rating given at another time is another rating."""
    ratings = Ratings.from_frame(frame(60))
    times = np.arange(60, dtype=np.int64)
    prints = {
        ratings_fingerprint(ratings.users, ratings.items, ratings.matrix, given)
        for given in (None, times, times[::-1].copy())
    }
    assert len(prints) == 3


def test_games_count_by_row_and_column() -> None:
    """Another order of games is the same catalogue; texts moved between columns or games are not."""
    ids, names = ["1", "2"], ["Catan", "Go"]
    original = games_fingerprint([ids, names])
    assert games_fingerprint([ids[::-1], names[::-1]]) == original
    others: list[list[list[Any]]] = [
        [ids, names[::-1]],
        [names, ids],
        [[1, 2], names],
        [["1", "2"], ["Catan", "Go "]],
        [["1"], ["Catan"]],
    ]
    assert original not in {games_fingerprint(other) for other in others}


def test_the_code_is_named_by_its_content(tmp_path: Path) -> None:
    """A changed, renamed or added file is other code; where it lies, and what is no Python, does not count."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("x = 1\n")
    (tmp_path / "two" / "notes.txt").write_text("")
    original = code_digest(tmp_path / "one")
    assert code_digest(tmp_path / "two") == original
    (tmp_path / "two" / "a.py").rename(tmp_path / "two" / "b.py")
    renamed = code_digest(tmp_path / "two")
    (tmp_path / "one" / "a.py").write_text("x = 2\n")
    assert len({original, renamed, code_digest(tmp_path / "one")}) == 3


def test_the_commit_is_that_of_the_source(tmp_path: Path) -> None:
    """With ``-dirty`` after a change; none outside a checkout, nor where the source is not tracked."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert git_commit(package) is None
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "empty"]):
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)
    assert git_commit(package) is None
    for arguments in (["add", "."], ["commit", "-q", "-m", "package"]):
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)
    commit = git_commit(package)
    assert commit is not None
    assert len(commit) == 40
    (package / "__init__.py").write_text("changed = True\n")
    assert git_commit(package) == f"{commit}-dirty"


def test_versions_name_what_is_installed() -> None:
    """What is not installed is left out, and Python is always named."""
    installed = versions(("numpy", "no-such-distribution"))
    assert set(installed) == {"python", "numpy"}
    assert installed["numpy"] == np.__version__
