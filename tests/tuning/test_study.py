"""The long search for settings: what it sees, what it varies, where it goes on, what it says."""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import pytest

from factories.tastes import tastes
from recsys.config import CfSettings, EvaluationSettings, Settings, load_settings
from recsys.errors import ArtifactWriteError, ConfigError, DataContractError, Diverged, LockHeld, MissingExtra
from recsys.evaluation.bootstrap import Interval
from recsys.evaluation.holdout import split
from recsys.models.recipe import CfRecipe
from recsys.tuning.scorer import DRAWS, RecipeScorer
from recsys.tuning.space import RANGES, Space
from recsys.tuning.study import Budget, Tuned, check, tune
from recsys.tuning.study.file import open_study
from recsys.tuning.study.search import require_extra
from recsys.tuning.study.trials import Trials, finished, importances, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.marts.ratings import Ratings

QUICK = Settings(cf=CfSettings(factors=8, iterations=6, threads=1), evaluation=EvaluationSettings(resamples=100))
"""Small factors, few iterations; the rest is searched."""


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    """Ratings of 300 users and 60 games, with taste in them."""
    return tastes(users=300, items=60)


def winner(ratings: Ratings) -> CfRecipe:
    """Return a recipe that is better than the rule on these ratings."""
    rule = CfRecipe.by_rule(QUICK.cf, ratings.matrix.data)
    return replace(rule, regularization=0.8, unobserved=4.5, confidence="rating")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, ratings: Ratings) -> tuple[Path, Tuned]:
    """Return a study of three trials, to be copied by tests that continue it, and its result."""
    file = tmp_path_factory.mktemp("study") / "s.db"
    return file, tune(ratings, QUICK, file, Budget(trials=3), remembered=winner(ratings), clock=lambda: 0.0)


@pytest.fixture
def copied(begun: tuple[Path, Tuned], tmp_path: Path) -> Path:
    """Return a copy of the study."""
    return Path(shutil.copy(begun[0], tmp_path / "copied.db"))


def trials_in(file: Path) -> list[tuple[Any, ...]]:
    """Return what was tried in a study, in order, with every score on the way."""
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{file}")
    return [(t.params, t.value, t.intermediate_values, t.state.name) for t in finished(study)]


def test_the_long_search_never_sees_the_hold_out(tmp_path: Path, ratings: Ratings) -> None:
    """Canary: whatever the held-out ratings say, it tries and finds the same, to the last digit.

    The same pairs are held out of both tables (that depends on ids alone), and every held-out
    rating is turned over in the second: who looked at one of them would score another number.
    """
    held_out = split(ratings, QUICK.evaluation, 7.0).held_out.tocsr()
    turned = ratings.matrix.copy()
    places = np.asarray(held_out[np.repeat(np.arange(300), np.diff(turned.indptr)), turned.indices]).ravel() > 0
    turned.data[places] = 11 - turned.data[places]
    assert np.count_nonzero(places) > 500
    results = []
    for number, table in enumerate((ratings, replace(ratings, matrix=turned))):
        file = tmp_path / f"{number}.db"
        tuned = tune(table, QUICK, file, Budget(trials=3), clock=lambda: 0.0)
        results.append((trials_in(file), replace(tuned, study="")))
    assert results[0] == results[1]


def test_it_begins_with_the_rule_and_what_is_remembered(copied: Path, ratings: Ratings) -> None:
    """The rule is tried first, then a release's winner; a later winner comes next; none is tried twice."""
    space = Space.of(QUICK.cf, ratings.matrix.data)
    later = replace(winner(ratings), unobserved=6.5)
    tune(ratings, QUICK, copied, Budget(trials=5), remembered=later)
    tried = [params for params, *_ in trials_in(copied)]
    assert tried[:2] == [space.values(space.rule), space.values(winner(ratings))]
    assert tried[3] == space.values(later)
    assert all(tried.count(params) == 1 for params in tried)


def test_what_is_given_is_never_searched(tmp_path: Path, ratings: Ratings) -> None:
    """A setting that somebody set has one value in all trials, also where that is the default."""
    given = {"factors": "8", "exponent": "1.0", "confidence": "graded", "iterations": "9", "threads": "1"}
    settings = load_settings(overrides=[f"cf.{name}={value}" for name, value in given.items()], environ={})
    tuned = tune(ratings, settings, tmp_path / "s.db", Budget(trials=3))
    assert {frozenset(params) for params, *_ in trials_in(tmp_path / "s.db")} == {
        frozenset({"regularization", "unobserved"})
    }
    assert (tuned.settings["factors"], tuned.settings["iterations"]) == (8, 9)


def test_what_is_tried_has_three_digits() -> None:
    """A recipe is rounded before it is scored, so that a fragment with short numbers is the recipe that was scored."""
    space = Space.of(CfSettings(), np.array([10], np.float32))
    recipe = space.recipe({"regularization": 0.123456, "unobserved": 12.3456, "factors": 352})
    assert (recipe.regularization, recipe.unobserved, recipe.factors) == (0.123, 12.3, 352)


def test_a_study_goes_on_as_if_it_had_never_stopped(tmp_path: Path, copied: Path, ratings: Ratings) -> None:
    """Six trials in one run, or in two of which the first died amid a trial, are the same six."""
    tune(ratings, QUICK, tmp_path / "whole.db", Budget(trials=6), remembered=winner(ratings))
    storage = f"sqlite:///{copied}"
    died = optuna.load_study(study_name=None, storage=storage)
    died.ask(Space.of(QUICK.cf, ratings.matrix.data).distributions()).report(0.9, 4)
    tuned = tune(ratings, QUICK, copied, Budget(trials=6))
    assert trials_in(copied) == trials_in(tmp_path / "whole.db")
    ended = [trial.state.name for trial in optuna.load_study(study_name=None, storage=storage).trials]
    assert (tuned.trials, len(ended), ended.count("FAIL")) == (6, 7, 1)


def test_a_finished_study_answers_again(tmp_path: Path, begun: tuple[Path, Tuned], ratings: Ratings) -> None:
    """Without a budget left nothing is tried, and the result is the same; a study without trials says so."""
    file, first = begun
    assert tune(ratings, QUICK, file, Budget(minutes=0), clock=lambda: 0.0) == first
    with pytest.raises(ConfigError, match="no finished trial yet"):
        tune(ratings, QUICK, tmp_path / "new.db", Budget(minutes=0))


def test_the_time_is_kept(copied: Path, ratings: Ratings) -> None:
    """Minutes end the run between two trials, whatever number of trials is allowed."""
    clock = iter(range(0, 10_000, 25))
    tuned = tune(ratings, QUICK, copied, Budget(minutes=1, trials=50), clock=lambda: next(clock))
    assert tuned.trials == 3 + 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"users": 299}, "ratings .* there and .* here"),
        ({"cf": {"factors": 9}}, "cf.factors 8 there and 9 here"),
        ({"cf": {"unobserved": 4.0}}, "cf.unobserved searched there and 4.0 here"),
        ({"cf": {"seed": 1}}, "cf.seed 42 there and 1 here"),
        ({"evaluation": {"fraction": 0.3}}, "evaluation.fraction 0.2 there and 0.3 here"),
    ],
)
def test_a_study_of_something_else_is_refused(begun: tuple[Path, Tuned], change: dict[str, Any], words: str) -> None:
    """Other data, other given settings or another hold-out: an error that says which, and nothing tried."""
    file, before = begun[0], trials_in(begun[0])
    other = tastes(users=change.get("users", 300), items=60)
    settings = QUICK.model_copy(
        update={
            "cf": QUICK.cf.model_copy(update=change.get("cf", {})),
            "evaluation": QUICK.evaluation.model_copy(update=change.get("evaluation", {})),
        }
    )
    with pytest.raises(ConfigError, match=words):
        tune(other, settings, file, Budget(trials=9))
    assert trials_in(file) == before


def test_threads_and_time_limits_are_no_other_search(copied: Path, ratings: Ratings) -> None:
    """What changes no score may change from run to run."""
    cf = QUICK.cf.model_copy(update={"threads": 2, "tuning_brake_s": 5.0, "tuning": "off"})
    assert tune(ratings, QUICK.model_copy(update={"cf": cf}), copied, Budget(trials=4)).trials == 4


def other_study(file: Path) -> None:
    """Write a study of somebody else's, as Optuna does."""
    import optuna

    storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    optuna.create_study(study_name="somebody else's", storage=storage)
    storage.engine.dispose()


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda file: file.write_bytes(b"PAR1 a mart, not a study" * 99), ConfigError, "no study of recsys tune"),
        (lambda file: sqlite3.connect(file).execute("CREATE TABLE t (a)"), ConfigError, "a database of something else"),
        (other_study, ConfigError, "a database of something else"),
        (lambda file: file.mkdir(), ArtifactWriteError, "cannot be written"),
        (lambda file: file.parent.rmdir(), ConfigError, "there is no folder"),
    ],
)
def test_what_is_no_study_is_left_alone(tmp_path: Path, spoil: Any, error: type[Exception], words: str) -> None:
    """Another file, another program's database, a folder, no folder: an error, and nothing is changed."""
    file = tmp_path / "here" / "s.db"
    file.parent.mkdir()
    spoil(file)
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(error, match=words), open_study(file, {}):
        pass
    assert (file.read_bytes() if file.is_file() else None) == before


def test_a_question_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    """It would cut the address of the database, and another file be written."""
    with pytest.raises(ConfigError, match="leave it out"), open_study(tmp_path / "a?b.db", {}):
        pass
    assert not list(tmp_path.iterdir())


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A second search into the same study names the first in its error."""
    with (
        open_study(tmp_path / "s.db", {}),
        pytest.raises(LockHeld, match=r"held by recsys tune --study .* \(process \d+"),
        open_study(tmp_path / "s.db", {}),
    ):
        pass


def test_the_best_is_held_against_the_rule_elsewhere(begun: tuple[Path, Tuned], ratings: Ratings) -> None:
    """The score that is reported comes from other draws than the trials', on the same users for both."""
    file, tuned = begun
    train = split(ratings, QUICK.evaluation, 7.0).train.matrix
    rule = CfRecipe.by_rule(QUICK.cf, train.data)
    best = replace(rule, **tuned.settings)
    params, value, *_ = max((t for t in trials_in(file) if t[3] == "COMPLETE"), key=lambda t: t[1])
    assert params["unobserved"] == pytest.approx(best.unobserved, rel=0.005)
    first, other = (RecipeScorer(train, QUICK.cf, 7.0, draw) for draw in (0, DRAWS))
    assert first.score(best, best.iterations, keep=False).mean() == pytest.approx(value)
    ours, theirs = (other.score(recipe, recipe.iterations, keep=False) for recipe in (best, rule))
    assert (tuned.score.value, tuned.rule.value) == pytest.approx((ours.mean(), theirs.mean()))
    assert tuned.difference.value == pytest.approx((ours - theirs).mean())
    assert tuned.difference.low < tuned.difference.value < tuned.difference.high
    assert tuned.users == len(ours)
    assert tuned.score.value != pytest.approx(value)


class Oracle(RecipeScorer):
    """Scores by a formula: all but ``liked`` is good; ``rating`` diverges."""

    def score(self, recipe: CfRecipe, iterations: int, *, keep: bool, watch: Callable[[], None] = lambda: None) -> Any:
        """Return one user's score."""
        if recipe.confidence == "rating":
            raise Diverged("the factors became infinite")
        return np.array([0.1 if recipe.confidence == "liked" else 0.3 + iterations / 1000])


def test_poor_and_diverged_trials_are_stopped(tmp_path: Path, ratings: Ratings) -> None:
    """What is below the median after four iterations stops there; what diverges ends no search."""
    space = Space.of(QUICK.cf, ratings.matrix.data)
    trials = Trials(Oracle(ratings.matrix, QUICK.cf, 7.0), space, [space.rule], 0)
    with open_study(tmp_path / "s.db", {}) as study:
        for _ in range(40):
            trials.run(study)
        done = finished(study)
    assert len(done) == 40
    late = [trial for trial in done if trial.number >= 8]
    by_confidence = {
        name: [trial for trial in late if trial.params["confidence"] == name] for name in ("liked", "rating", "graded")
    }
    assert all(list(trial.intermediate_values) == [4] for trial in by_confidence["liked"])
    assert all(not trial.intermediate_values for trial in by_confidence["rating"])
    assert all(trial in whole(done) for trial in by_confidence["graded"])
    assert all(by_confidence.values())


def test_importances_know_what_mattered() -> None:
    """The one setting that decides has nearly all of the importance, stopped trials included; too few tell nothing."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    distributions = {name: RANGES[name].distribution() for name in ("unobserved", "regularization", "exponent")}
    for _ in range(60):
        trial = study.ask(distributions)
        score = -abs(np.log(trial.params["unobserved"] / 4))
        if score < -1:
            trial.report(1 + score / 10, 4)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, 1 + score / 10)
    shares = importances(finished(study))
    assert next(iter(shares)) == "unobserved"
    assert shares["unobserved"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    assert importances(finished(study)[:19]) == {}


def test_the_fragment_is_a_settings_file(tmp_path: Path) -> None:
    """What is printed is read back as the very settings, with all else in comments."""
    values = {
        "factors": 96, "regularization": 0.547, "unobserved": 1e-05, "exponent": 1.0, "iterations": 16,
        "confidence": "graded", "like_threshold": 7.0, "seed": 3,
    }  # fmt: skip
    scores = Interval(0.31, 0.30, 0.32), Interval(0.30, 0.29, 0.31), Interval(0.01, 0.005, 0.015)
    tuned = Tuned(values, *scores, 4872, 41, 12, {"unobserved": 0.75, "factors": 0.25}, "s.db", 3.0)
    (tmp_path / "recsys.toml").write_text(tuned.as_toml(), encoding="utf-8")
    read = load_settings(tmp_path / "recsys.toml", environ={}).cf
    assert {name: getattr(read, name) for name in read.model_fields_set} == values
    assert "NDCG@10 0.3100 [0.3000, 0.3200], the rule's 0.3000 [0.2900, 0.3100]" in tuned.as_toml()
    assert "on 4,872 users" in tuned.as_toml()
    assert "surely better" in tuned.as_toml()
    assert "unobserved 75%, factors 25%" in tuned.as_toml()
    unsure = replace(tuned, difference=Interval(0.01, -0.005, 0.025))
    assert "not surely better" in unsure.as_toml()


def test_given_settings_are_in_the_fragment(tmp_path: Path, ratings: Ratings) -> None:
    """Put into recsys.toml it leaves nothing of what was scored to other defaults."""
    overrides = ["cf.factors=8", "cf.threads=1", "cf.like_threshold=8", "cf.seed=5"]
    tuned = tune(ratings, load_settings(overrides=overrides, environ={}), tmp_path / "s.db", Budget(trials=1))
    assert list(tuned.settings) == [*RANGES, "like_threshold", "seed"]
    assert (tuned.settings["factors"], tuned.settings["like_threshold"], tuned.settings["seed"]) == (8, 8.0, 5)


@pytest.mark.parametrize(
    ("cf", "error", "words"),
    [
        ({"solver": "implicit"}, ConfigError, "cf.solver = ials, not implicit"),
        (
            dict.fromkeys(("regularization", "unobserved", "exponent"), 1.0)
            | {"factors": 8, "iterations": 3, "confidence": "liked"},
            ConfigError,
            "could be searched is given",
        ),
        ({"like_threshold": 11.0}, DataContractError, "11 or more"),
    ],
)
def test_where_there_is_nothing_to_search(
    tmp_path: Path, ratings: Ratings, cf: dict[str, Any], error: type[Exception], words: str
) -> None:
    """The other solver, nothing left free, nobody to score: an error at once, and no study."""
    with pytest.raises(error, match=words):
        tune(ratings, Settings(cf=CfSettings(**cf)), tmp_path / "s.db", Budget(trials=1))
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named() -> None:
    """Without Optuna the error says what to install."""
    with pytest.raises(MissingExtra, match=r"recsys-releases\[tune\]"):
        require_extra(lambda _: None)
    require_extra()


def test_a_study_is_a_file(tmp_path: Path) -> None:
    """A pipe would be waited for without end, and a folder or a device holds no study."""
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(ConfigError, match="cannot hold a study: it is a device"):
            check(Settings(), name)
    with pytest.raises(ArtifactWriteError, match="it is a folder; name a file"):
        check(Settings(), tmp_path)
    with pytest.raises(ConfigError, match="is an address"):
        check(Settings(), Path("s3://bucket/study.db"))
