"""What stays of people's lists from one release to the next: a night that shuffles everybody's list is seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

import recsys
from factories.tables import RECIPE, TableSource, WordEncoder, games, ratings
from recsys.config import Settings
from recsys.errors import QualityGateFailed
from recsys.pipeline.outcome import Overrides, RunResult
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def night(output: Path, rated: pd.DataFrame, *, alone: bool = False, **cf: Any) -> RunResult:
    """Publish a release of these ratings, whatever the gate says; of the CF half alone, if so."""
    source = TableSource(*(pa.Table.from_pandas(frame, preserve_index=False) for frame in (games(), rated)))
    gate = {"max_psi": 9.0, "popular_lately": "warn"}
    sections = {"cf": {**RECIPE, **cf}, "evaluation": {"newcomers": False, "resamples": 100}, "gate": gate}
    store = ReleaseStore(output, check=check_here)
    trainer = Trainer(
        {},
        output,
        source=source,
        settings=Settings.model_validate(sections),
        embedding_model=WordEncoder(),
        store=store,
    )
    overrides = Overrides(publish_anyway="a test", accept_drift="a test")
    if alone:
        trainer.train_cf_model(overrides=overrides)
        return RunResult("published", "", (output / "v1").resolve(), {})
    return trainer.run_pipeline(force=True, overrides=overrides)


def overlap(result: RunResult) -> dict[str, Any]:
    """Return what metrics.json says of the lists."""
    assert result.path is not None
    found: dict[str, Any] = json.loads((result.path / "metrics.json").read_text())["overlap"]
    return found


def moved() -> pd.DataFrame:
    """Return the ratings with every user's taken by one of another club."""
    frame = ratings()
    return frame.assign(USER_ID=frame["USER_ID"] ^ 1)


def lists(result: RunResult) -> dict[int, list[int]]:
    """Return everybody's list, as the release serves it."""
    assert result.path is not None
    served = recsys.load(result.path)
    return {user: served.recommend(user, k=10).ids for user in range(80)}  # type: ignore[misc]


def test_the_share_is_that_of_the_lists_which_are_served(tmp_path: Path) -> None:
    """Of the games, of the first places, and of lists of which nothing stays: against both releases, asked."""
    first = night(tmp_path, ratings())
    assert "no release was current" in overlap(first)["missing"]
    second = night(tmp_path, ratings(seed=1), seed=7)
    before, now = lists(first), lists(second)
    kept = [len(set(before[user]) & set(now[user])) / len(before[user]) for user in before]
    found = overlap(second)
    assert found["release"] == first.run_id
    assert found["users"] == 80
    assert found["kept"]["value"] == pytest.approx(np.mean(kept), abs=1e-6)
    assert found["kept"]["low"] < found["kept"]["value"] < found["kept"]["high"]
    assert found["first"] == pytest.approx(np.mean([before[user][0] == now[user][0] for user in before]), abs=1e-6)
    assert found["none"] == pytest.approx(np.mean(np.array(kept) == 0), abs=1e-6)


def test_a_night_that_shuffles_the_lists_is_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the log, in the last line, in the JSON line and on the page; one on which nothing happened as well."""
    caplog.set_level("INFO")
    night(tmp_path, ratings())
    calm = night(tmp_path, ratings(), seed=7)
    shuffled = night(tmp_path, moved())
    assert overlap(calm)["kept"]["value"] > 0.5
    assert overlap(shuffled)["kept"]["value"] < 0.4
    told = f"{overlap(shuffled)['kept']['value']:.0%} of the games in people's lists are those of {calm.run_id}"
    assert told in shuffled.headline
    assert shuffled.to_json()["overlap"] == overlap(shuffled)
    events = [
        vars(record)["recsys_keys"]
        for record in caplog.records
        if record.message == "lists beside the current release's"
    ]
    assert len(events) == 2
    assert round(overlap(shuffled)["kept"]["value"], 4) == round(events[1]["kept"], 4)
    assert shuffled.path is not None
    page = (shuffled.path / "report.html").read_text()
    assert f"<b>{overlap(shuffled)['kept']['value']:.1%}</b>" in page
    assert "nothing stays" in page


def test_a_half_alone_is_compared_too(tmp_path: Path) -> None:
    """The CF half, trained alone, changes lists."""
    night(tmp_path, ratings())
    assert overlap(night(tmp_path, ratings(), alone=True, seed=7))["kept"]["value"] > 0.5


def test_a_release_that_is_not_sound_is_not_compared_with(tmp_path: Path) -> None:
    """The run publishes, and the file says why there is no number."""
    first = night(tmp_path, ratings())
    assert first.path is not None
    (first.path / "cf_factors.npz").write_bytes(b"")
    second = night(tmp_path, ratings(), seed=7)
    assert "not sound" in overlap(second)["missing"]
    assert "people's lists" not in second.headline


def test_a_refused_candidate_has_no_lists_to_compare(tmp_path: Path) -> None:
    """Nobody will be shown any."""
    night(tmp_path, ratings())
    source = TableSource(*(pa.Table.from_pandas(frame, preserve_index=False) for frame in (games(), ratings())))
    settings = Settings.model_validate({"cf": RECIPE, "gate": {"floor": 0.999}})
    store = ReleaseStore(tmp_path, check=check_here)
    trainer = Trainer({}, tmp_path, source=source, settings=settings, embedding_model=WordEncoder(), store=store)
    with pytest.raises(QualityGateFailed) as refused:
        trainer.run_pipeline(force=True)
    assert refused.value.trial is not None
    assert "overlap" not in refused.value.trial
