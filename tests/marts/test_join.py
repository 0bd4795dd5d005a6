"""Where the marts meet: spellings are joined, strangers are refused, and what is recommended can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from factories.tables import RECIPE, WordEncoder, games, ratings, write_marts
from recsys.config import DataSettings, Settings
from recsys.errors import DataContractError
from recsys.marts.contract import ContractReport
from recsys.marts.ids import IdMap
from recsys.marts.join import RESPELLED, join
from recsys.marts.ratings import Ratings, read_ratings
from recsys.models.cf import CollaborativeFilter
from recsys.serving import load
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LENIENT = DataSettings(min_users=1, min_games=1, min_ratings=1)


def rated(games_rated: list[Any], *, times: bool = False) -> Ratings:
    """Return ratings 1, 2, 3, … of these games, each by two users in turns."""
    frame = pd.DataFrame({"USER_ID": np.arange(len(games_rated)) % 2, "GAME_ID": games_rated})
    frame["RATING"] = np.arange(1.0, len(frame) + 1)
    if times:
        frame["RATED_AT"] = pd.to_datetime(frame["RATING"], unit="D")
    checked = read_ratings(frame, LENIENT, ContractReport(), time_column="RATED_AT" if times else "")
    assert checked is not None
    return checked


def joined(ours: list[Any], catalogue: list[Any], bound: float = 0.5) -> tuple[Ratings | None, ContractReport]:
    """Join ratings of these games with a catalogue of those."""
    report = ContractReport()
    return join(rated(ours), IdMap.of(catalogue), report, bound, ("GAMES", "RATINGS")), report


@pytest.mark.parametrize(
    ("ours", "catalogue", "ids"),
    [
        (["2", "10", "1"], [1, 2, 10], [1, 2, 10]),
        ([2, 10, 1], ["1", "2", "10"], ["1", "10", "2"]),
        ([2.0, 10.0, 1.0], ["1.0", "2.0", "10.0"], ["1.0", "10.0", "2.0"]),
        (["2.0", "10.0", " 1"], [1, 2, 10], [1, 2, 10]),
        (["a", "b ", "c"], ["a ", "b", "c"], ["a ", "b", "c"]),
        (["2", "9", "1"], [1, 2], [1, 2, 9]),
        ([2, 9, 1], ["1", "2"], ["1", "2", "9"]),
        (["2", str(2**70), "1"], [1, 2, 2**70], [1, 2, 2**70]),
    ],
)
def test_spellings_of_one_id_are_joined(ours: list[Any], catalogue: list[Any], ids: list[Any]) -> None:
    """The catalogue's spelling is taken, each rating stays its game's, and what was respelled is counted."""
    ratings, report = joined(ours, catalogue)
    assert ratings is not None
    assert not report.violations
    assert ratings.items.ids() == ids
    means = {float(str(id_)) if str(id_).strip()[0].isdigit() else str(id_).strip(): id_ for id_ in ids}
    for row, id_ in enumerate(ours):
        key = float(id_) if str(id_).strip()[0].isdigit() else id_.strip()
        assert ratings.matrix[row % 2, ids.index(means[key])] == row + 1
    assert ratings.matrix.has_sorted_indices
    assert report.repairs[RESPELLED] == sum(type(id_)(id_) not in ids for id_ in ours)


def test_times_follow_their_ratings() -> None:
    """Where the order of the games changes with their spelling, each rating keeps its time."""
    before = rated([2, 10, 1, 1, 10, 2], times=True)
    after = join(before, IdMap.of(["1", "2", "10"]), ContractReport(), 0.5)
    assert after is not None
    assert after.items.ids() == ["1", "10", "2"]
    assert after.rated_at is not None
    assert after.matrix.has_sorted_indices
    assert (after.rated_at // 86_400_000_000).tolist() == after.matrix.data.tolist() == [3, 5, 1, 4, 2, 6]


def test_marts_that_meet_are_left_alone() -> None:
    """Where every id is spelled alike nothing is copied or counted."""
    before = rated([1, 2, 3])
    report = ContractReport()
    assert join(before, IdMap.of([1, 2, 3, 4]), report, 0.5) is before
    assert not report.repairs


@pytest.mark.parametrize(
    ("ours", "catalogue", "words"),
    [
        (
            ["x1", "x2"],
            [1, 2, 3, 4],
            "GAME_ID is a whole number (such as 1, 2, 3) there, and text (such as 'x1', 'x2')",
        ),
        ([1, 2], ["a", "b"], "GAME_ID is text (such as 'a', 'b') there, and a whole number (such as 1, 2) here"),
        (["007", "008"], [7, 8], "and text (such as '007', '008') here"),
        ([5, 6], [1, 2], "a whole number (such as 1, 2) there, and a whole number (such as 5, 6) here"),
    ],
)
def test_strangers_are_refused(ours: list[Any], catalogue: list[Any], words: str) -> None:
    """Ratings of games that the catalogue lacks are refused beyond the bound, with both types and ids of each side."""
    nothing, report = joined(ours, catalogue)
    assert nothing is None
    (violation,) = map(str, report.violations)
    assert f"RATINGS: {len(ours)} ratings (100.0% of them) of games that GAMES lacks, more than the 50%" in violation
    assert words in violation


def test_the_bound_is_a_share_of_the_ratings() -> None:
    """Two unknown of five pass at 50% and fail at 30%; at 100% whatever is a number passes."""
    ours: list[Any] = [1, 2, 3, 8, 9]
    assert not joined(ours, [1, 2, 3])[1].violations
    assert joined(ours, [1, 2, 3], 0.3)[1].violations
    assert not joined([8, 9], [1, 2, 3], 1.0)[1].violations


def test_what_cannot_be_an_id_of_the_catalogue_is_refused() -> None:
    """A text among ratings of a catalogue of numbers has no place in a release of numbers."""
    _, report = joined(["1", "2", "x7"], [1, 2, 3])
    (violation,) = map(str, report.violations)
    assert "1 game whose GAME_ID is no whole number, as each of GAMES is (such as 'x7')" in violation


def test_a_filter_for_nobody_is_refused() -> None:
    """``fit`` with a catalogue that holds none of the rated games says so instead of recommending nothing for ever."""
    with pytest.raises(DataContractError, match="none of the 3 rated games"):
        CollaborativeFilter().fit(pd.DataFrame({"USER_ID": [1, 2, 3], "GAME_ID": [1, 2, 3], "RATING": 8.0}), ["1", "2"])


@pytest.mark.parametrize("mart", ["games", "ratings"])
@pytest.mark.parametrize("spelling", [str, float, "{:.1f}".format, " {:<12}".format])
def test_a_release_of_marts_that_spell_ids_otherwise_recommends(
    tmp_path: Path, spelling: Callable[[int], Any], mart: str
) -> None:
    """Whichever mart spells its ids in another way, users get games under the catalogue's ids, and nobody else's."""
    frames = {"games": games(), "ratings": ratings()}
    frames[mart] = frames[mart].assign(GAME_ID=frames[mart]["GAME_ID"].map(spelling))
    settings = Settings.model_validate({"cf": RECIPE, "evaluation": {"newcomers": False}})
    source = str(write_marts(tmp_path / "marts", frames["games"], frames["ratings"]))
    trainer = Trainer(None, tmp_path / "models", source=source, settings=settings, embedding_model=WordEncoder())
    result = trainer.run_pipeline()
    ids = set(frames["games"]["GAME_ID"]) if spelling is not float or mart != "games" else set(games()["GAME_ID"])
    recommender = load(tmp_path / "models" / "v1")
    for user in (0, 1, 2, 3):
        answer = recommender.recommend(user, 5)
        assert len(answer) == 5
        assert {game.game_id for game in answer} <= ids
    assert (RESPELLED in result.repairs) == (spelling is not float)
    assert result.rows["orphan_games"] == 0


@pytest.mark.parametrize("share", [0.4, 0.6])
def test_a_run_passes_with_some_orphans_and_ends_with_too_many(tmp_path: Path, share: float) -> None:
    """40% of the ratings on unknown games is a warning, 60% is exit 65, in a dry run too."""
    table = ratings()
    kept = table["GAME_ID"].drop_duplicates().sample(frac=1, random_state=0)
    counts = table["GAME_ID"].value_counts()[kept]
    lacking = set(kept[(counts.cumsum() <= share * len(table)).to_numpy()])
    catalogue = games()[~games()["GAME_ID"].isin(lacking)]
    source = str(write_marts(tmp_path, catalogue, table))
    trainer = Trainer(None, tmp_path / "models", source=source, settings=Settings.model_validate({"cf": RECIPE}))
    if share < 0.5:
        assert trainer.check().rows["orphan_games"] == len(lacking)
        return
    with pytest.raises(DataContractError, match=r"of games that ANALYTICS\.MART_GAMES lacks") as caught:
        trainer.check()
    assert caught.value.exit_code == 65
