"""``metrics.parquet``: what each scored user was served with, and that nothing in it says who that is."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from factories.tables import RECIPE, TableSource, WordEncoder, games, ratings
from recsys.config import Settings
from recsys.errors import ArtifactCorrupt, QualityGateFailed
from recsys.evaluation.holdout import split
from recsys.evaluation.people import ScoredUsers
from recsys.marts import Ratings
from recsys.pipeline.observers import RunObserver
from recsys.pipeline.outcome import Overrides
from recsys.release.check import check_here
from recsys.release.keys import Keys
from recsys.release.layout import USER_SCORES
from recsys.release.store import ReleaseStore
from recsys.release.user_scores import read_user_scores, user_scores_bytes
from recsys.tracking.told import SENT
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path

GATE = {"max_psi": 9.0, "popular_lately": "warn"}


def trainer(output: Path, rated: pd.DataFrame | None = None, *observers: RunObserver, **sections: Any) -> Trainer:
    """Return a trainer on the small marts, or on other ratings."""
    frames = games(), ratings() if rated is None else rated
    source = TableSource(*(pa.Table.from_pandas(frame, preserve_index=False) for frame in frames))
    settings = Settings.model_validate({"cf": RECIPE, "evaluation": {"newcomers": False}, "gate": GATE, **sections})
    store = ReleaseStore(output, check=check_here)
    return Trainer(
        {}, output, source=source, settings=settings, embedding_model=WordEncoder(), store=store, observers=observers
    )


def dated() -> pd.DataFrame:
    """Return the ratings, one an hour."""
    frame = ratings().sample(frac=1, random_state=3, ignore_index=True)
    return frame.assign(RATED_AT=pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(frame)), "h"))


def table(folder: Path) -> pd.DataFrame:
    """Return the table of a release."""
    frame: pd.DataFrame = read_user_scores((folder / USER_SCORES).read_bytes()).to_pandas()
    return frame


def test_a_row_for_each_scored_user_whose_means_are_the_scores(tmp_path: Path) -> None:
    """Every mean of ``metrics.json`` is that of a column; so many rows as users were scored, verified as all files."""
    result = trainer(tmp_path).run_pipeline()
    assert result.path is not None
    stored = json.loads((result.path / "metrics.json").read_text())["evaluation"]
    rows = table(result.path)
    assert len(rows) == stored["users"] > 50
    named = {f"{name} {metric}" for name, row in stored["contenders"].items() for metric in row}
    for contender, scores in stored["contenders"].items():
        for metric, score in scores.items():
            if isinstance(score, dict):
                assert rows[f"{contender} {metric}"].mean() == pytest.approx(score["value"], abs=1e-6)
    assert set(rows.columns) - named == {"USER", "RATINGS", "DAYS", "RELEVANT"}
    assert rows["DAYS"].isna().all()
    assert USER_SCORES in ReleaseStore(tmp_path).manifest().files
    (result.path / USER_SCORES).write_bytes(b"")
    with pytest.raises(ArtifactCorrupt, match=re.escape(USER_SCORES)):
        ReleaseStore(tmp_path).verify()


def test_activity_and_age_are_those_of_the_training_part(tmp_path: Path) -> None:
    """Known ratings and days since the first of them, user by user, against a count by hand."""
    frame = dated()
    sections = {"source": {"time_column": "RATED_AT"}}
    overrides = Overrides(publish_anyway="clubs are no time series")
    result = trainer(tmp_path, frame, **sections).run_pipeline(overrides=overrides)
    assert result.path is not None
    frame = frame.sort_values("RATED_AT")
    cut = len(frame) - int(0.2 * len(frame))
    known, later = frame[:cut], frame[cut:]
    known = known[known["GAME_ID"].isin(frame["GAME_ID"])]
    by_user = known.groupby("USER_ID")["RATED_AT"]
    liked = later[later["RATING"] >= 8].groupby("USER_ID").size()
    wanted = pd.DataFrame(
        {
            "RATINGS": by_user.size(),
            "DAYS": (known["RATED_AT"].max() - by_user.min()).dt.days,
            "RELEVANT": liked,
        }
    ).dropna()
    found = table(result.path)[["RATINGS", "DAYS", "RELEVANT"]]
    np.testing.assert_array_equal(
        np.sort(found.to_numpy(dtype=float), axis=0), np.sort(wanted.to_numpy(dtype=float), axis=0)
    )
    pairs = sorted(map(tuple, found.to_numpy(dtype=float))), sorted(map(tuple, wanted.to_numpy(dtype=float)))
    assert pairs[0] == pairs[1]


def test_nothing_in_it_says_who_is_who(tmp_path: Path) -> None:
    """Names are hashes in their own order; one rating more gives everybody another name, the same ratings the same."""
    first = trainer(tmp_path / "a").run_pipeline().path
    again = trainer(tmp_path / "b", ratings().sample(frac=1, random_state=1)).run_pipeline().path
    other = ratings()
    other.loc[0, "RATING"] = 9.0 if other.loc[0, "RATING"] != 9.0 else 8.0
    changed = trainer(tmp_path / "c", other).run_pipeline().path
    assert first is not None
    assert again is not None
    assert changed is not None
    assert (first / USER_SCORES).read_bytes() == (again / USER_SCORES).read_bytes()
    names = table(first)["USER"]
    assert names.is_monotonic_increasing
    assert names.str.fullmatch("[0-9a-f]{32}").all()
    assert not set(names) & set(table(changed)["USER"])


def test_the_page_shows_the_beginning_of_the_same_names(tmp_path: Path) -> None:
    """A user of the page who was scored is found in the file: most are, and by chance none would be."""
    path = trainer(tmp_path, evaluation={"newcomers": False, "users": 0}).run_pipeline().path
    assert path is not None
    aliases = re.findall(r'<p class="who"><code>([0-9a-f]{8})</code>', (path / "report.html").read_text())
    assert len(aliases) == 5
    assert len(set(aliases) & set(table(path)["USER"].str[:8])) >= 3


def test_no_observer_hears_of_single_users(tmp_path: Path) -> None:
    """What a run tells observers and prints has no pseudonym, of a refused candidate neither; trackers send none."""
    assert USER_SCORES not in SENT
    heard: list[object] = []

    class Ear(RunObserver):
        def judged(self, metrics: dict[str, object]) -> None:
            heard.append(metrics)

        def refused(self, reason: object) -> None:
            heard.append(reason)

        def published(self, result: object) -> None:
            heard.append(result)

        def ended(self, result: object) -> None:
            heard.append(result)

    result = trainer(tmp_path, None, Ear()).run_pipeline()
    assert result.path is not None
    with pytest.raises(QualityGateFailed) as refused:
        trainer(tmp_path, None, Ear(), gate={"floor": 0.999}).run_pipeline(force=True)
    (kept,) = (tmp_path / "refused").iterdir()
    told = repr([heard, result.to_json(), str(refused.value), refused.value.trial])
    assert len(heard) > 3
    for folder in (result.path, kept):
        names = table(folder)["USER"]
        assert not [name for name in names if name[:8] in told]


def test_it_stays_with_the_half_that_it_tells_of(tmp_path: Path) -> None:
    """A content model trained alone takes over the file, byte for byte; the release is sound."""
    first = trainer(tmp_path).run_pipeline().path
    assert first is not None
    before = (first / USER_SCORES).read_bytes()
    trainer(tmp_path).train_rag_model()
    assert (tmp_path / "v1").resolve() != first.resolve()
    assert (tmp_path / "v1" / USER_SCORES).read_bytes() == before
    ReleaseStore(tmp_path, keys=Keys()).verify()


def test_a_user_without_a_score_has_none() -> None:
    """NaN of a metric is null in the table, not a number."""
    data = user_scores_bytes(
        ["b", "a"], {"RATINGS": np.array([1, 2]), "DAYS": None, "RELEVANT": np.array([3, 4])},
        {"cf": {"diversity": np.array([np.nan, 0.5])}},
    )  # fmt: skip
    rows = read_user_scores(data).to_pylist()
    assert rows == [
        {"USER": "a", "RATINGS": 2, "DAYS": None, "RELEVANT": 4, "cf diversity": 0.5},
        {"USER": "b", "RATINGS": 1, "DAYS": None, "RELEVANT": 3, "cf diversity": None},
    ]


def test_users_are_described_in_the_order_of_the_split() -> None:
    """Against a count by hand, user by user."""
    frame = ratings()
    rated = Ratings.from_frame(frame)
    parts = split(rated, Settings().evaluation, 7.0)
    people = ScoredUsers.of(parts, rated)
    assert people.days is None
    assert people.ratings.tolist() == [parts.train.matrix[user].nnz for user in parts.users]
    assert people.relevant.tolist() == [parts.relevant[user].nnz for user in parts.users]
