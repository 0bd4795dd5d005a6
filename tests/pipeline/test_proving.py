"""A run and its gate: what is published, what is refused, what is recorded, what is left of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from factories.tables import FIRST_GAME, GAMES, RECIPE, USERS, TableSource, WordEncoder, games, ratings
from recsys.config import Settings
from recsys.errors import DataContractError, QualityGateFailed
from recsys.evaluation.current import CurrentRelease
from recsys.evaluation.drift import DataProfile
from recsys.models import CollaborativeFilter
from recsys.pipeline.outcome import Overrides, RunResult
from recsys.release.check import check_here
from recsys.release.metrics import Metrics
from recsys.release.store import ReleaseStore
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path


def trainer(output: Path, rated: pd.DataFrame | None = None, **sections: dict[str, Any]) -> Trainer:
    """Return a trainer on the small marts, quick in everything that is not the gate."""
    marts = (games(), ratings() if rated is None else rated)
    source = TableSource(*(pa.Table.from_pandas(frame, preserve_index=False) for frame in marts))
    settings = Settings.model_validate({"cf": RECIPE, **sections})
    store = ReleaseStore(output, check=check_here)
    return Trainer({}, output, source=source, settings=settings, embedding_model=WordEncoder(), store=store)


def shuffled() -> pd.DataFrame:
    """Return the ratings with every user id dealt out anew: nothing is left to learn."""
    frame = ratings()
    dealt = frame.assign(USER_ID=np.random.default_rng(0).permutation(frame["USER_ID"]))
    return dealt.drop_duplicates(["USER_ID", "GAME_ID"])


def metrics(result: RunResult) -> dict[str, Any]:
    """Read the metrics of a published run."""
    assert result.path is not None
    return json.loads((result.path / "metrics.json").read_text())  # type: ignore[no-any-return]


def test_a_release_carries_its_trial(tmp_path: Path) -> None:
    """Contenders, verdict, split, curve and data profile stand in metrics.json, scores in the manifest."""
    result = trainer(tmp_path, evaluation={"learning_curve": True}).run_pipeline()
    stored = metrics(result)
    assert list(stored["evaluation"]["contenders"]) == ["popularity", "content", "cf"]
    assert stored["verdict"]["passed"]
    assert stored["evaluation"]["split"]["held_out_ratings"] > 100
    assert len(stored["learning_curve"]) == stored["recipe"]["iterations"]
    assert stored["learning_curve"][-1] == pytest.approx(stored["evaluation"]["contenders"]["cf"]["ndcg@10"]["value"])
    assert sum(stored["exposure"]["games"]) == GAMES
    assert sum(stored["exposure"]["recommended"]["cf"]) == pytest.approx(1, abs=1e-4)
    manifest = ReleaseStore(tmp_path).manifest()
    assert manifest.scores["ndcg@10"] == stored["evaluation"]["contenders"]["cf"]["ndcg@10"]["value"]
    assert str(manifest.facts.trained).startswith("on all ratings")
    assert manifest.facts.data is not None
    assert DataProfile.from_json(manifest.facts.data.model_dump()).users == USERS
    assert {"hold_out", "train_candidate", "evaluate"} <= set(manifest.steps)
    assert (
        json.loads(json.dumps(result.to_json()))["scores"]["cf"]["coverage"]
        == stored["evaluation"]["contenders"]["cf"]["coverage"]
    )


def test_what_is_published_was_trained_on_all_ratings(tmp_path: Path) -> None:
    """The published factors are those of the evaluated recipe on every rating, not on the training part."""
    result = trainer(tmp_path).run_pipeline()
    published = CollaborativeFilter.load(tmp_path / "v1")
    assert published.ratings.nnz == result.rows["ratings"]
    whole = CollaborativeFilter(Settings.model_validate({"cf": RECIPE}).cf).fit(ratings())
    np.testing.assert_allclose(published.item_factors, whole.item_factors, rtol=1e-4, atol=1e-5)


def test_a_refused_candidate_leaves_the_current_release_alone(tmp_path: Path) -> None:
    """Every byte of the current release stays; the candidate's metrics and page are kept, no model is."""
    first = trainer(tmp_path).run_pipeline()
    assert first.path is not None
    before = {path.name: path.read_bytes() for path in first.path.iterdir()}
    with pytest.raises(QualityGateFailed, match=r"is not surely above popularity's") as caught:
        trainer(tmp_path, shuffled()).run_pipeline()
    assert f"{first.run_id} stays current" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "v1").resolve() == first.path.resolve()
    assert {path.name: path.read_bytes() for path in first.path.iterdir()} == before
    assert [path.name for path in (tmp_path / "releases").iterdir()] == [first.run_id]
    (kept,) = (tmp_path / "refused").iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["metrics.json", "metrics.parquet", "report.html"]
    stored = json.loads((kept / "metrics.json").read_text())
    assert not stored["verdict"]["published"]
    assert stored == caught.value.trial


def test_a_refusal_stays_one_where_nothing_can_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file stands where the folder should: the reason of the gate is told all the same, and that nothing was kept."""
    (tmp_path / "refused").write_text("in the way")
    with pytest.raises(
        QualityGateFailed, match=r"below gate\.floor 0\.99.*could not be kept \(cannot create the folder"
    ):
        trainer(tmp_path, gate={"floor": 0.99}).run_pipeline()
    assert "what is known about the refused candidate could not be kept" in caplog.messages


def test_refused_candidates_do_not_pile_up(tmp_path: Path) -> None:
    """Only the newest gate.keep_refused stay."""
    gate = {"floor": 0.99, "keep_refused": 2}
    messages = []
    for _ in range(3):
        with pytest.raises(QualityGateFailed) as caught:
            trainer(tmp_path, gate=gate).run_pipeline()
        messages.append(str(caught.value))
    kept = sorted(path.name for path in (tmp_path / "refused").iterdir())
    assert len(kept) == 2
    assert kept[-1] in "".join(messages)


def test_an_override_publishes_and_is_in_the_manifest(tmp_path: Path) -> None:
    """--publish-anyway publishes what the gate refuses; reason and broken rule are recorded."""
    allowed = Overrides(publish_anyway="the scale changed, see ticket 7")
    result = trainer(tmp_path, gate={"floor": 0.99}).run_pipeline(overrides=allowed)
    assert result.status == "published"
    verdict = ReleaseStore(tmp_path).manifest().facts.verdict
    assert verdict is not None
    assert (verdict.passed, verdict.override) == (False, "the scale changed, see ticket 7")
    assert "below gate.floor 0.99" in verdict.reason


def test_the_current_recipe_competes_where_settings_differ(tmp_path: Path) -> None:
    """Other settings bring the current release's recipe in as a contender; a worse candidate is refused."""
    first = trainer(tmp_path).run_pipeline()
    poor = {**RECIPE, "factors": 1, "iterations": 1}
    with pytest.raises(QualityGateFailed, match=rf"the recipe of the current release {first.run_id} reaches") as caught:
        trainer(tmp_path, cf=poor).run_pipeline()
    assert caught.value.trial is not None
    assert "current recipe" in Metrics.model_validate(caught.value.trial).evaluation.contenders


def test_identical_settings_are_not_trained_twice(tmp_path: Path) -> None:
    """New ratings, same settings: the rule says so, and no time is spent on it. Threads are no setting of a recipe."""
    trainer(tmp_path).run_pipeline()
    result = trainer(tmp_path, ratings(seed=1), cf={**RECIPE, "threads": 2}).run_pipeline()
    stored = metrics(result)
    assert "current recipe" not in stored["evaluation"]["contenders"]
    assert "train_current_recipe" not in result.seconds
    assert "the settings are those of the current release" in stored["verdict"]["reason"]


def test_a_score_far_below_the_recorded_one_is_refused(tmp_path: Path) -> None:
    """Data that got worse within the bounds of drift still shows in the score."""
    trainer(tmp_path).run_pipeline()
    noisy = ratings()
    blurred = noisy["USER_ID"] < USERS // 3  # a third of the users now rate at random
    dealt = FIRST_GAME + np.random.default_rng(1).integers(0, GAMES, blurred.sum())
    noisy.loc[blurred, "GAME_ID"] = dealt
    with pytest.raises(QualityGateFailed, match=r"beyond gate\.max_drop 5%"):
        trainer(tmp_path, noisy.drop_duplicates(["USER_ID", "GAME_ID"])).run_pipeline()


def test_scores_measured_otherwise_are_not_compared(tmp_path: Path) -> None:
    """Another fraction makes another task; the verdict says what differs."""
    trainer(tmp_path).run_pipeline()
    result = trainer(tmp_path, evaluation={"fraction": 0.3}).run_pipeline()
    assert "was scored with fraction 0.2 instead of 0.3" in metrics(result)["verdict"]["reason"]


def test_half_the_rows_gone_stops_the_run_before_it_trains(tmp_path: Path) -> None:
    """Exit 65 with the figures; nothing is embedded or trained; accepting it is recorded."""
    trainer(tmp_path).run_pipeline()
    half = ratings().iloc[::2]
    late = trainer(tmp_path, half)
    with pytest.raises(DataContractError, match=r"ratings went from 720 to 360 \(-50%, bound -20%\)") as caught:
        late.run_pipeline()
    assert "--accept-drift" in str(caught.value)
    last = ReleaseStore(tmp_path).journal.lines()[-1]
    assert last.event == "refused"
    assert "ratings went from 720 to 360" in str(last.why)
    assert {"embed", "train_candidate", "train_cf"}.isdisjoint(late.steps.seconds)
    allowed = Overrides(accept_drift="we dropped inactive users", publish_anyway="scores of half the data")
    trainer(tmp_path, half).run_pipeline(overrides=allowed)
    drift = ReleaseStore(tmp_path).manifest().facts.drift
    assert drift is not None
    assert drift.accepted == "we dropped inactive users"
    assert "ratings went from" in drift.reason


def test_a_half_alone_passes_the_gate_too(tmp_path: Path) -> None:
    """train_cf_model publishes nothing that the gate refuses."""
    first = trainer(tmp_path).run_pipeline()
    with pytest.raises(QualityGateFailed):
        trainer(tmp_path, shuffled()).train_cf_model()
    assert (tmp_path / "v1").resolve() == first.path


def test_scores_are_carried_over_with_their_half(tmp_path: Path) -> None:
    """A new content half keeps the CF half's metrics: the next gate still has a score to compare with."""
    first = trainer(tmp_path).run_pipeline()
    trainer(tmp_path).train_rag_model()
    store = ReleaseStore(tmp_path)
    assert store.current() != first.run_id
    assert store.manifest().scores == store.manifest(first.run_id).scores
    assert store.manifest().facts == store.manifest(first.run_id).facts
    assert metrics(first) == json.loads((tmp_path / "v1" / "metrics.json").read_text())


def test_a_time_column_joins_the_query_and_cuts_the_split(tmp_path: Path) -> None:
    """With source.time_column the ratings are dated, and the hold-out is a cut in time."""
    rated = ratings()
    rated["RATED_AT"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(rated)) * 7919 % 300, unit="D")
    made = trainer(tmp_path, rated, source={"time_column": "rated_at"})
    stored = metrics(made.run_pipeline())
    assert isinstance(made._warehouse._source, TableSource)
    assert (
        made._warehouse._source.queries[1]
        == "SELECT USER_ID, GAME_ID, RATING, rated_at FROM ANALYTICS.MART_USER_RATINGS"
    )
    assert stored["evaluation"]["split"]["kind"] == "time"
    assert stored["evaluation"]["split"]["cut"].startswith("2026-")
    assert stored["measure"]["hold_out"] == "time"


@pytest.mark.parametrize("wanted", [True, False])
def test_tomorrow_is_shown_beside_a_random_draw(*, wanted: bool, tmp_path: Path) -> None:
    """A candidate that passed on a cut in time is also scored on a random draw, unless that is switched off."""
    rated = ratings()
    rated["RATED_AT"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(rated)) * 7919 % 300, unit="D")
    made = trainer(tmp_path, rated, source={"time_column": "RATED_AT"}, evaluation={"random_draw": wanted})
    result = made.run_pipeline()
    assert ("random_draw" in metrics(result)) == wanted
    assert result.path is not None
    assert ("Tomorrow, and a random draw" in (result.path / "report.html").read_text()) == wanted
    if wanted:
        drawn = metrics(result)["random_draw"]
        assert drawn["split"]["kind"] == "hash"
        assert list(drawn["contenders"]) == ["popularity", "popular lately", "cf"]
        assert metrics(result)["evaluation"]["split"]["kind"] == "time"


def test_a_release_that_cannot_be_read_is_no_rival(tmp_path: Path) -> None:
    """A damaged manifest makes the run a first one, which gate.require_current refuses."""
    first = trainer(tmp_path).run_pipeline()
    assert first.path is not None
    (first.path / "manifest.json").write_text("{}")
    with pytest.raises(QualityGateFailed, match=r"gate\.require_current"):
        trainer(tmp_path, gate={"require_current": True}).run_pipeline()
    assert trainer(tmp_path).run_pipeline().status == "published"


def test_the_same_run_gives_the_same_metrics(tmp_path: Path) -> None:
    """Two first runs on the same marts write metrics.json with the same bytes."""
    files = [trainer(tmp_path / name).run_pipeline().path for name in "ab"]
    assert len({(path / "metrics.json").read_bytes() for path in files if path}) == 1


def test_another_range_of_the_contract_is_no_drift(tmp_path: Path) -> None:
    """Histograms are compared in the bins of the current release, whatever the contract's range is tonight."""
    trainer(tmp_path).run_pipeline()
    result = trainer(tmp_path, ratings(seed=1), data={"rating_max": 100.0}).run_pipeline()
    drift = metrics(result)["drift"]
    assert drift["reason"] == ""
    (histogram,) = [change for change in drift["changes"] if change["figure"] == "rating_histogram"]
    assert histogram["change"] < 0.1


def test_a_recipe_that_cannot_be_trained_is_told(tmp_path: Path) -> None:
    """A setting that this version does not know: the recipe does not compete, and the verdict says which and why."""
    trainer(tmp_path).run_pipeline()
    manifest = ReleaseStore(tmp_path).manifest()
    assert manifest.facts.recipe is not None
    manifest.facts.recipe["magic"] = 7
    current = CurrentRelease.of(manifest)
    assert current.recipe is None
    assert "cf.magic: Extra inputs are not permitted" in current.problem
    assert not current.same_recipe(Settings().cf)


def test_dates_to_come_are_refused(tmp_path: Path) -> None:
    """One rating in 2098 would leave nothing of all others: it is named, and nothing is published."""
    frame = ratings()
    dates = np.full(len(frame), np.datetime64("2020-01-01", "us"))
    dates[3] = np.datetime64("2098-05-06", "us")
    with pytest.raises(DataContractError, match=r"RATED_AT: 1 of .* dated later than today, the latest at 2098-05-06"):
        trainer(tmp_path, frame.assign(RATED_AT=dates), source={"time_column": "RATED_AT"}).run_pipeline()
    assert not (tmp_path / "v1").exists()


def test_dates_that_are_gone_stop_no_run(tmp_path: Path) -> None:
    """The current recipe fades; without dates it cannot be trained, and the candidate is judged without it."""
    frame = ratings()
    months = np.random.default_rng(0).integers(0, 48, len(frame)).astype("timedelta64[M]")
    dates = (np.datetime64("2016-01", "M") + months).astype("datetime64[us]")
    faded = {**RECIPE, "half_life": 24.0}
    gate = {"popular_lately": "warn"}
    first = trainer(tmp_path, frame.assign(RATED_AT=dates), gate=gate, cf=faded, source={"time_column": "RATED_AT"})
    assert first.run_pipeline().path is not None
    second = trainer(tmp_path, gate=gate).run_pipeline()
    assert second.path is not None
