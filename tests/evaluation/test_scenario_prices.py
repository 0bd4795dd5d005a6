"""The figures of a scenario are those of the lists that a release serves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import recsys
from factories import tables
from factories.served import catalogue as games
from factories.small_release import half
from recsys.config import CfSettings, ContentSettings, EvaluationSettings
from recsys.evaluation.contenders import Filter
from recsys.evaluation.holdout import split
from recsys.evaluation.scenarios import measure_scenarios
from recsys.evaluation.scores import evaluate
from recsys.marts.catalogue import Catalogue
from recsys.marts.ids import IdMap
from recsys.marts.ratings import Ratings
from recsys.models.cf import CollaborativeFilter
from recsys.models.content import EMBEDDING_TEXT, RAGRecommender
from recsys.models.hybrid import HybridRecommender
from recsys.pipeline.publication import CfHalf, ContentHalf, Presentation, publish
from recsys.release.check import check_here
from recsys.release.facts import Facts
from recsys.release.metrics import Metrics
from recsys.release.store import ReleaseStore
from recsys.serving import Rules
from recsys.system.steps import Steps

if TYPE_CHECKING:
    from recsys.evaluation.holdout import Split
    from recsys.serving import Recommender

K = 5
SETTINGS = EvaluationSettings(k=K, resamples=200)
SCENARIOS = {
    "homepage": Rules(boost={"tag=Economic": 1.5}, diversity=0.3, at_most={"CATEGORIES": 2}),
    "stock": Rules(only=range(tables.FIRST_GAME, tables.FIRST_GAME + 20), exclude=[tables.FIRST_GAME]),
    "pinned": Rules("N_RATINGS>=1", bury={"N_RATINGS>=15": 0.5}, pin=[tables.FIRST_GAME + 7]),
    "new": Rules(newcomers=[2]),
    "plain": Rules(),
}


@pytest.fixture(scope="module", params=[{}, {"item_weight": 0.5}], ids=["factors", "item-item"])
def tried(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    """Return the split, the evaluated candidate, its scenarios' figures, and a recommender of a release made of it."""
    folder = tmp_path_factory.mktemp("tried")
    table, encoder = games(), tables.WordEncoder()
    ratings = Ratings.from_frame(tables.ratings())
    parts = split(ratings, SETTINGS, 7.0)
    candidate = CollaborativeFilter(CfSettings.model_validate(tables.RECIPE | request.param)).fit(parts.train)
    content = RAGRecommender(ContentSettings(), encoder)
    content.fit(table.assign(**{EMBEDDING_TEXT: table["DESCRIPTION"]}))
    catalogue = Catalogue.of(table, content.vectors)
    found = measure_scenarios(candidate, catalogue, SCENARIOS, parts, SETTINGS)
    store = ReleaseStore(folder, check=check_here)
    serving = candidate.restricted_to(catalogue.ids)
    hybrid = HybridRecommender().fit(
        serving, serving.items.codes_of(list(catalogue.game_ids)), catalogue.vectors, catalogue.tags
    )
    with store.staging("candidate-1") as staging:
        publish(
            staging,
            (
                ContentHalf.trained(content, catalogue, half(1)),
                CfHalf(serving, half(1), {}, Facts()),
            ),
            hybrid,
            Presentation(Steps(), SCENARIOS, None),
        )
    return parts, candidate, found, recsys.load(folder / "v1")


def ndcg(served: Recommender, parts: Split, items: IdMap, scenario: str | None) -> list[float]:
    """Return each scored user's NDCG, written out from the served list."""
    scores = []
    for user in parts.users:
        relevant = set(items.ids(parts.relevant.indices[parts.relevant.indptr[user] : parts.relevant.indptr[user + 1]]))
        listed = served.recommend(parts.train.users.id_of(int(user)), K, scenario=scenario).ids
        gain = sum(1 / np.log2(place + 2) for place, id_ in enumerate(listed) if id_ in relevant)
        scores.append(gain / sum(1 / np.log2(place + 2) for place in range(min(K, len(relevant)))))
    return scores


@pytest.mark.parametrize("scenario", [None, *SCENARIOS])
def test_lists_that_are_served_give_the_figures_of_the_evaluation(tried: Any, scenario: str | None) -> None:
    """To 1e-12: NDCG, coverage, and through both the prices."""
    parts, candidate, found, served = tried
    figures = found["base"] if scenario is None else found["named"][scenario]["scores"]
    scores = ndcg(served, parts, candidate.items, scenario)
    assert figures[f"ndcg@{K}"]["value"] == pytest.approx(np.mean(scores), abs=1e-12)
    users = parts.train.users.ids(parts.users.tolist())
    shown = {id_ for user in users for id_ in served.recommend(user, K, scenario=scenario).ids}
    rated = set(candidate.items.ids())
    assert figures["coverage"] == pytest.approx(len(shown & rated) / len(rated), abs=1e-12)
    if scenario is not None:
        price = found["named"][scenario]["price"]
        base = np.mean(ndcg(served, parts, candidate.items, None))
        assert price[f"ndcg@{K}"]["value"] == pytest.approx(np.mean(scores) / base - 1, abs=1e-12)
        assert price["coverage"] == pytest.approx(figures["coverage"] - found["base"]["coverage"], abs=1e-12)


def test_what_rules_ask_for_costs_or_not(tried: Any) -> None:
    """A scenario without rules is free; one that shows half of the games has a price, and less coverage."""
    named = tried[2]["named"]
    assert named["plain"]["price"][f"ndcg@{K}"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert named["stock"]["price"][f"ndcg@{K}"]["high"] < 0
    assert named["stock"]["price"]["coverage"] < 0
    assert named["homepage"]["rules"] == SCENARIOS["homepage"].as_json()


def test_without_rules_the_figures_are_the_contenders(tried: Any) -> None:
    """The base of the prices is what the gate judged."""
    parts, candidate, found, served = tried
    known = IdMap.of(served.snapshot.catalogue.ids)
    evaluation = evaluate(
        [Filter("cf", candidate.taste)], parts, SETTINGS, recommendable=known.locate(candidate.items) >= 0
    )
    for metric in (f"ndcg@{K}", f"hit_rate@{K}", "popular_share"):
        assert found["base"][metric]["value"] == pytest.approx(evaluation.value("cf", metric), abs=1e-12)


def test_the_figures_are_a_part_of_the_metrics(tried: Any) -> None:
    """Typed, as the page reads them."""
    read = Metrics.model_validate(json.loads(json.dumps({"scenarios": tried[2]}, allow_nan=False)))
    assert read.scenarios.named.keys() == SCENARIOS.keys()
    assert read.scenarios.users == len(tried[0].users)
