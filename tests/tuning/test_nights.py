"""Nights in a row, each through the whole pipeline: what is searched, remembered, published or refused."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from factories.tables import FIRST_GAME, GAMES, TableSource, WordEncoder, games
from recsys.config import Settings
from recsys.errors import QualityGateFailed
from recsys.models.recipe import FOUND, SEARCHED
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path

USERS = 600


def grumblers() -> pd.DataFrame:
    """Return ratings of people who tell of five games that they dislike for each that they like.

    The rule, which takes also a bad rating for a sign of interest, is far behind what a search finds.
    """
    draw = np.random.default_rng(0)
    rows: list[tuple[Any, ...]] = []
    for user in range(USERS):
        own, others = (
            draw.permutation([game for game in range(GAMES) if (game % 4 == user % 4) is own]) for own in (True, False)
        )
        rows += [(user, FIRST_GAME + game, draw.integers(7, 11)) for game in own[:4]]
        rows += [(user, FIRST_GAME + game, draw.integers(1, 5)) for game in others[:20]]
    return pd.DataFrame(rows, columns=["USER_ID", "GAME_ID", "RATING"])


class Nights:
    """One folder of releases, night after night."""

    def __init__(self, folder: Path) -> None:
        self.store = ReleaseStore(folder, check=check_here)
        self.tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in (games(), grumblers())]

    def run(self, **sections: dict[str, Any]) -> dict[str, Any]:
        """Train and publish with these settings; return what the release says of its settings."""
        cf = {"factors": 8, "threads": 1, "tuning_every": 3} | sections.pop("cf", {})
        evaluation = {"newcomers": False, "resamples": 100} | sections.pop("evaluation", {})
        gate = {"segment_margin": 1.0} | sections.pop("gate", {})  # of so few people a part may well be served worse
        settings = Settings.model_validate({"cf": cf, "evaluation": evaluation, "gate": gate, **sections})
        folder = self.store.root
        Trainer(
            {}, folder, source=TableSource(*self.tables), settings=settings, embedding_model=WordEncoder(),
            store=self.store,
        ).run_pipeline(force=True)  # fmt: skip
        return self.facts()

    def facts(self) -> dict[str, Any]:
        """Return the facts of the current release."""
        return self.store.manifest().facts.model_dump(mode="json")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a first night, which searched."""
    folder = tmp_path_factory.mktemp("nights") / "models"
    Nights(folder).run()
    return folder


@pytest.fixture
def nights(searched: Path, tmp_path: Path) -> Nights:
    """Return what follows the first night."""
    return Nights(shutil.copytree(searched, tmp_path / "models", symlinks=True))


def test_the_rule_would_be_refused(nights: Nights) -> None:
    """These are ratings on which a search that knew only the rule could block publishing for good."""
    with pytest.raises(QualityGateFailed, match=r"surely more than 1\.0% below"):
        nights.run(cf={"tuning": "off"})


def test_a_search_every_few_releases_blocks_no_night(nights: Nights) -> None:
    """Search, twice remembered, searched again without the time for it: published as before, and remembered anew."""
    recipe = nights.facts()["recipe"]
    outcomes = [nights.run(cf={"tuning_work": 1e-6}) for _ in range(4)]
    assert [night["tuning"]["age"] for night in outcomes] == [1, 2, 0, 1]
    assert outcomes[2]["tuning"]["because"] == "3 releases since the last search"
    assert outcomes[2]["tuning"]["search"]["complete"] is False
    assert all(night["verdict"]["passed"] for night in outcomes)
    winners = [night["tuning"]["search"]["winner"] for night in outcomes]
    assert all({name: recipe[name] for name in SEARCHED} == {name: won[name] for name in SEARCHED} for won in winners)


def test_a_whole_search_again_keeps_what_nothing_surely_betters(nights: Nights) -> None:
    """The current recipe is the winner, to the last digit, or the winner scored more where both were scored."""
    before = nights.facts()["recipe"]
    facts = nights.run(cf={"tuning_every": 1})
    search = facts["tuning"]["search"]
    assert search["complete"]
    assert search["used"] > 1.1 * search["rule"]
    kept = all(search["winner"][name] == before[name] for name in SEARCHED)
    assert kept or search["best"] > search["used"]


def test_a_refused_night_leaves_the_next_one_free(nights: Nights) -> None:
    """The night of a search is refused for another reason; the next one searches again, is published, remembers."""
    before = nights.facts()
    with pytest.raises(QualityGateFailed, match=r"gate\.floor"):
        nights.run(cf={"tuning_every": 1}, gate={"floor": 0.99})
    assert nights.facts() == before
    assert nights.run(cf={"tuning_every": 1})["tuning"]["because"] == "1 release since the last search"
    assert nights.run()["tuning"]["age"] == 1


def test_a_setting_that_is_given_no_longer_is_searched_again(nights: Nights) -> None:
    """Given one night, it is taken; left out again, it is searched, and not carried on from release to release."""
    given = nights.run(cf={"factors": 2})
    assert (given["recipe"]["factors"], given["tuning"]["free"]) == (
        2,
        [name for name in FOUND if name != "factors"],
    )
    assert nights.run(cf={"factors": 2})["tuning"]["age"] == 1
    left_out = nights.run(cf={"factors": "auto"})["tuning"]
    assert left_out["because"].startswith("other settings are left open than for ")
    assert left_out["because"].endswith(": cf.factors")
    assert {trial["recipe"]["factors"] for trial in left_out["search"]["trials"]} >= {2, 64, 128}
    assert nights.run(cf={"factors": "auto"})["tuning"]["age"] == 1


def test_another_hold_out_is_searched_for_anew(nights: Nights) -> None:
    """With another seed of the hold-out the winner is not used again: it was scored on what is held out now."""
    tuning = nights.run(evaluation={"seed": 7})["tuning"]
    assert tuning["because"].startswith("ratings are held out that the last search saw")
    assert tuning["because"].endswith("(hold_out hash, fraction 0.2, seed 42)")
    assert tuning["search"]["used"] is None
    assert nights.run(evaluation={"seed": 7})["tuning"]["age"] == 1
