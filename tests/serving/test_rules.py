"""Rules decide what a list holds, in one order, whatever it is ranked by."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import recsys
from factories.served import REPRINT, UNRATED, publish
from factories.tables import FIRST_GAME, WordEncoder
from recsys.errors import ArgumentError, NotInModel
from recsys.serving import Recommender, Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.serving import Answer

ALL = 1000
"""More than the catalogue holds."""


@pytest.fixture(scope="module", params=[{}, {"item_weight": 0.5}], ids=["factors", "item-item"])
def served(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Recommender:
    """Return the recommender of a release that ranks by factors alone, and of one with what is added to them."""
    folder = tmp_path_factory.mktemp("ruled")
    publish(folder, **request.param)
    return recsys.load(folder / "v1", encoder=WordEncoder())


def someone(served: Recommender) -> Any:
    """Return a user with a taste."""
    return served.snapshot.people.users.id_of(3)


def ways(served: Recommender) -> dict[str, Callable[..., Answer]]:
    """Return every kind of question that has rules."""
    user = someone(served)
    return {
        "taste": lambda k, **more: served.recommend(user, k, **more),
        "content": lambda k, **more: served.recommend(user, k, by="content", **more),
        "blend": lambda k, **more: served.recommend(user, k, by="blend", **more),
        "visitor": lambda k, **more: served.recommend_from([FIRST_GAME, FIRST_GAME + 4], k, **more),
        "popularity": lambda k, **more: served.recommend(999_999, k, **more),
        "similar, taste": lambda k, **more: served.similar(FIRST_GAME, k, by="taste", **more),
        "similar, content": lambda k, **more: served.similar(FIRST_GAME, k, by="content", **more),
        "similar, blend": lambda k, **more: served.similar(FIRST_GAME, k, **more),
        "search": lambda k, **more: served.search("economic trains", k, **more),
    }


WAYS = ["taste", "content", "blend", "visitor", "popularity", "search"]
WAYS += ["similar, taste", "similar, content", "similar, blend"]


def tags_of(served: Recommender, game_id: Any) -> set[str]:
    """Return all tags of a game."""
    catalogue = served.snapshot.catalogue
    return {tag for column in catalogue.tags.values() for tag in column[catalogue.row(game_id)]}


def pairs(answer: Answer) -> list[tuple[Any, float]]:
    """Return ids and scores."""
    return [(game.game_id, game.score) for game in answer]


@pytest.mark.parametrize("way", WAYS)
def test_a_list_without_rules_is_the_list_with_rules_that_ask_nothing(served: Recommender, way: str) -> None:
    """Bit for bit."""
    ask = ways(served)[way]
    for rules in (Rules(), {}, {"boost": {}, "diversity": 0, "at_most": {"tag": ALL}}):
        assert pairs(ask(12, rules=rules)) == pairs(ask(12))


@pytest.mark.parametrize("way", WAYS)
def test_only_and_exclude_choose_among_the_games(served: Recommender, way: str) -> None:
    """What is left has the scores that it has without rules."""
    ask = ways(served)[way]
    everything = pairs(ask(ALL))
    ids = [id_ for id_, _ in everything]
    assert pairs(ask(5, rules={"only": ids[::3]})) == [pair for pair in everything if pair[0] in ids[::3]][:5]
    assert pairs(ask(5, rules={"exclude": ids[::2]})) == everything[1::2][:5]
    assert not list(ask(5, rules={"only": []}))


@pytest.mark.parametrize("way", WAYS)
def test_a_boost_adds_standard_deviations_of_the_scores(served: Recommender, way: str) -> None:
    """Against brute force: the same games with scores moved one by one, best first, ties to the earlier row."""
    ask, rows = ways(served)[way], served.snapshot.catalogue
    plain = dict(pairs(ask(ALL)))
    met = {id_ for id_ in plain if "Economic" in tags_of(served, id_)}
    many = {id_ for id_ in plain if rows.n_ratings[rows.row(id_)] >= 20}
    assert met
    assert len(met) < len(plain)
    rules = {"boost": {"tag=Economic": 0.75}, "bury": {"N_RATINGS>=20": 0.25}}
    moved = dict(pairs(ask(ALL, rules=rules)))
    assert moved.keys() == plain.keys()
    deviation = {round((moved[id_] - plain[id_]) / 0.75, 4) for id_ in met - many}
    deviation |= {round((moved[id_] - plain[id_]) / 0.5, 4) for id_ in met & many}
    deviation |= {round((plain[id_] - moved[id_]) / 0.25, 4) for id_ in many - met}
    if way == "popularity":
        assert max(deviation) / min(deviation) == pytest.approx(1, rel=1e-2)
    else:
        assert max(deviation) - min(deviation) < 1e-3 * max(deviation)
    assert all(moved[id_] == plain[id_] for id_ in plain.keys() - met - many)
    expected = sorted(moved, key=lambda id_: (-moved[id_], rows.row(id_)))
    for k in (1, 4, 9):
        assert pairs(ask(k, rules=rules)) == [(id_, moved[id_]) for id_ in expected[:k]]


def test_the_deviation_is_that_of_the_persons_scores(served: Recommender) -> None:
    """Over all games that have a score by taste, those that are not listed too."""
    at, user = served.snapshot, someone(served)
    profile = at.people.user(user)
    assert profile is not None
    scores = at.taste.scores(profile.factors, at.taste.rows, profile.line).astype(np.float64)
    plain, moved = (
        dict(pairs(served.recommend(user, ALL, rules=rules))) for rules in (None, {"boost": {"tag=Economic": 2}})
    )
    risen = [moved[id_] - plain[id_] for id_ in plain if moved[id_] != plain[id_]]
    assert risen == pytest.approx([2 * scores.std()] * len(risen), rel=1e-5)


def test_many_strengths_are_as_exact_as_few(served: Recommender) -> None:
    """By content, games are searched kind by kind; where there are too many kinds, all are scored: the same list."""
    ask = ways(served)["content"]
    ids = served.snapshot.catalogue.ids
    boost = {f"GAME_ID={id_}": 0.01 * place for place, id_ in enumerate(ids[:30], 1)}
    plain, spread = dict(pairs(ask(ALL))), served.snapshot.content.moments
    assert spread is not None
    moved = dict(pairs(ask(ALL, rules={"boost": boost})))
    risen = {id_: (moved[id_] - plain[id_]) / boost.get(f"GAME_ID={id_}", 1) for id_ in plain}
    raised = [risen[id_] for id_ in plain if f"GAME_ID={id_}" in boost]
    assert raised == pytest.approx([raised[0]] * len(raised), rel=1e-3)
    assert all(moved[id_] == plain[id_] for id_ in plain if f"GAME_ID={id_}" not in boost)


def test_boosted_scores_do_not_depend_on_who_else_is_asked_for(served: Recommender) -> None:
    """The same bits alone and in a batch, and whatever k is."""
    users = served.snapshot.people.users.ids(range(20))
    rules = {"boost": {"tag=Economic": 0.3}}
    batch = served.recommend_batch(users, 7, rules=rules)
    assert [pairs(answer) for answer in batch] == [pairs(served.recommend(user, 7, rules=rules)) for user in users]
    assert [pairs(answer)[:3] for answer in batch] == [pairs(served.recommend(user, 3, rules=rules)) for user in users]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("diversity", [0.2, 0.7, 1.0])
def test_diversity_is_maximal_marginal_relevance(served: Recommender, way: str, diversity: float) -> None:
    """Against the formula, game by game, over the best 10·k."""
    ask, at = ways(served)[way], served.snapshot
    k = 3
    pool = pairs(ask(10 * k))
    vectors = {id_: at.content.vectors[at.catalogue.row(id_)].astype(np.float64) for id_, _ in pool}
    best, worst = pool[0][1], pool[-1][1]
    relevance = {id_: (score - worst) / (best - worst) if best > worst else 1.0 for id_, score in pool}
    chosen = [pool[0][0]]
    while len(chosen) < k:
        left = [id_ for id_, _ in pool if id_ not in chosen]
        chosen.append(
            max(
                left,
                key=lambda id_: round(
                    (1 - diversity) * relevance[id_] - diversity * max(vectors[id_] @ vectors[one] for one in chosen), 6
                ),
            )
        )
    answer = ask(k, rules={"diversity": diversity})
    assert answer.ids == chosen
    assert pairs(answer) == [(id_, dict(pool)[id_]) for id_ in chosen]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", ["tag", "CATEGORIES", "mechanics", "N_RATINGS"])
def test_at_most_passes_over_what_there_is_enough_of(served: Recommender, way: str, limit: str) -> None:
    """Against a walk down the whole ranking."""
    ask, catalogue = ways(served)[way], served.snapshot.catalogue

    def labels(id_: Any) -> set[Any]:
        row = catalogue.row(id_)
        if limit == "N_RATINGS":
            return {int(catalogue.n_ratings[row])}
        return tags_of(served, id_) if limit == "tag" else set(catalogue.tags[limit.upper()][row])

    for most in (1, 2):
        counts: dict[Any, int] = {}
        kept = []
        for pair in pairs(ask(ALL)):
            if all(counts.get(label, 0) < most for label in labels(pair[0])):
                kept.append(pair)
                counts.update({label: counts.get(label, 0) + 1 for label in labels(pair[0])})
        answer = ask(6, rules={"at_most": {limit: most}})
        assert pairs(answer) == kept[:6]
        assert ("the rules leave no more" in answer.note) == (len(kept) < 6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "rules", [{"at_most": {"tag": 1}}, {"at_most": {"CATEGORIES": 2}, "exclude": [FIRST_GAME + 2]}]
)
def test_a_long_way_down_is_ranked_anew(
    served: Recommender, way: str, rules: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was passed over or taken does not come back: the list is that of one long ranking."""
    at_once = ways(served)[way](6, rules=rules)
    monkeypatch.setattr("recsys.serving.shelf.POOL", 1)
    step_by_step = ways(served)[way](6, rules=rules)
    assert pairs(step_by_step) == pairs(at_once)
    assert len(set(step_by_step.ids)) == len(step_by_step)


@pytest.mark.parametrize("way", WAYS)
def test_collapse_is_at_most_one_edition(served: Recommender, way: str) -> None:
    """One implementation, two names."""
    ask = ways(served)[way]
    assert pairs(ask(9, collapse=True)) == pairs(ask(9, rules={"at_most": {"edition": 1}}))


def test_at_most_two_editions_leave_a_third_out(served: Recommender) -> None:
    """Game 200 is another edition of game 100, whose neighbours by content include it unless editions are limited."""
    plain, one, two = (served.search("economic", ALL, rules={"at_most": {"edition": most}}).ids for most in (ALL, 1, 2))
    assert set(one) < set(plain)
    assert set(one) <= set(two) <= set(plain)
    assert {FIRST_GAME, REPRINT} - set(one)


@pytest.mark.parametrize("way", WAYS)
def test_pins_come_first_in_their_order_and_count(served: Recommender, way: str) -> None:
    """With their own scores; the rest follows as without them."""
    ask = ways(served)[way]
    everything = pairs(ask(ALL))
    pins = [everything[5][0], everything[2][0]]
    answer = pairs(ask(5, rules={"pin": pins}))
    assert [id_ for id_, _ in answer[:2]] == pins
    assert [score for _, score in answer[:2]] == pytest.approx([everything[5][1], everything[2][1]], rel=1e-6)
    assert answer[2:] == [pair for pair in everything if pair[0] not in pins][:3]
    few = ask(1, rules={"pin": pins})
    assert few.ids == pins[:1]
    assert "the first 1 fit" in few.note


def test_a_pinned_game_that_somebody_has_rated_stays_and_is_told(served: Recommender) -> None:
    """Whoever pins wants it seen; the note says that the person knows it."""
    at, user = served.snapshot, someone(served)
    profile = at.people.user(user)
    assert profile is not None
    seen = at.catalogue.ids[profile.seen[0]]
    answer = served.recommend(user, 4, rules={"pin": [seen, UNRATED]}, why=True)
    assert answer.ids[:2] == [seen, UNRATED]
    assert f"leaves it out otherwise: {seen}" in answer.note


def test_rules_apply_in_their_order(served: Recommender) -> None:
    """Every rule at once leaves what each leaves alone, one after the other."""
    ids = served.recommend(someone(served), ALL).ids
    rules = Rules(
        filters="N_RATINGS>=1",
        only=ids[:25],
        exclude=ids[:2],
        boost={"tag=Economic": 1},
        bury={"tag=Trains": 1},
        diversity=0.1,
        at_most={"CATEGORIES": 2},
        pin=[ids[20]],
    )
    answer = served.recommend(someone(served), 8, rules=rules)
    assert answer.ids[0] == ids[20]
    assert set(answer.ids) <= set(ids[2:25])
    shelves = [
        next(iter(served.snapshot.catalogue.tags["CATEGORIES"][served.snapshot.catalogue.row(id_)]))
        for id_ in answer.ids
    ]
    assert max(shelves.count(each) for each in shelves) <= 2
    assert Rules.of(rules.as_json()) == rules


def test_negative_conditions_on_unknown_tags_are_notes(served: Recommender) -> None:
    """What nobody has cannot be left out or buried; asked for or boosted, it is an error."""
    user = someone(served)
    plain = served.recommend(user, 5)
    for rules in ({"filters": ["tag!=Econmic"]}, {"bury": {"tag=Econmic": 1}}):
        answer = served.recommend(user, 5, rules=rules)
        assert pairs(answer) == pairs(plain)
        assert "no game has the tag 'Econmic'; did you mean Economic?" in answer.note
    assert "Econmic" in served.recommend(user, 5, filters="tag!=Econmic").note
    mixed = served.recommend(user, ALL, filters="tag!=Econmic|Economic")
    assert pairs(mixed) == pairs(served.recommend(user, ALL, filters="tag!=Economic"))
    for rules in ({"filters": ["tag=Econmic"]}, {"boost": {"tag=Econmic": 1}}):
        with pytest.raises(ArgumentError, match="did you mean Economic"):
            served.recommend(user, 5, rules=rules)


def test_ids_that_the_release_lacks_are_noted(served: Recommender) -> None:
    """A shop's list is longer than a release: ten thousand of them cost nothing but a note."""
    user = someone(served)
    plain = served.recommend(user, 5)
    answer = served.recommend(user, 5, rules={"exclude": range(10**6, 10**6 + 10_000)})
    assert pairs(answer) == pairs(plain)
    assert "exclude: 10,000 of 10,000 ids are not among the games of this release" in answer.note
    assert served.recommend(user, 5, rules={"only": [*plain.ids, 10**6]}).ids == plain.ids
    with pytest.raises(NotInModel):
        served.recommend(user, 5, rules={"pin": [10**6]})


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"boosts": {}}, "there is no rule boosts"),
    ({"boost": ["tag=Economic"]}, "no mapping"),
    *[
        ({rule: {"tag=Economic": strength}}, "no number above 0")
        for rule, strength in itertools.product(
            ("boost", "bury"), (0, -1, float("nan"), float("inf"), 101, 10**400, True, "0.5", None)
        )
    ],
    ({"boost": {"tag=Economic": -1}}, "bury does the opposite"),
    ({"boost": {"Economic": 1}}, "not of the form"),
    ({"boost": {"tag=Economic": 1, "TAG= economic": 2}}, "twice"),
    ({"boost": {"tag=Economic": 1}, "bury": {"tag=economic": 1}}, "boosted and buried"),
    ({"boost": {"tag=Trains|Economic": 1}, "bury": {"tag=Economic|trains": 1}}, "boosted and buried"),
    ({"boost": {"N_RATINGS>=100": 1}, "bury": {"N_RATINGS>=1e2": 1}}, "boosted and buried"),
    ({"boost": {"PLAYERS>=2": 1}}, "no column PLAYERS"),
    ({"filters": 13}, "no list of conditions"),
    ({"filters": [13]}, "no condition"),
    *[({"diversity": share}, "from 0") for share in (-0.1, 1.1, float("nan"), True, "0.5")],
    *[({"at_most": {"tag": most}}, "from 1 up") for most in (0, -1, 1.5, True, "2", float("nan"))],
    ({"at_most": ["tag"]}, "no mapping"),
    ({"at_most": {"PLAYERS": 1}}, "no column PLAYERS"),
    ({"at_most": {"tag": 1, "TAG": 2}}, "twice"),
    ({"at_most": {"": 1}}, "neither tag"),
    *[({rule: "13"}, "no list of ids") for rule in ("only", "exclude", "pin")],
    *[({rule: [odd]}, "no id") for rule in ("only", "exclude", "pin") for odd in (13.0, True, None, [13])],
    *[({rule: [str(FIRST_GAME)]}, "did you mean") for rule in ("only", "exclude")],
    ({"pin": {FIRST_GAME}}, "no order"),
    ({"pin": [FIRST_GAME, FIRST_GAME]}, "twice"),
    ({"pin": [FIRST_GAME], "exclude": [FIRST_GAME]}, "pinned and excluded"),
    ({"pin": [FIRST_GAME], "only": [FIRST_GAME + 1]}, "not among the games of only"),
    ({"pin": [UNRATED], "filters": ["N_RATINGS>=1"]}, "does not meet the filters"),
    ({"pin": [FIRST_GAME, REPRINT], "at_most": {"edition": 1}}, "more games of a kind are pinned"),
]


@pytest.mark.parametrize(("rules", "words"), WRONG)
def test_wrong_and_contradicting_rules_are_refused(served: Recommender, rules: dict[str, Any], words: str) -> None:
    """With what is wrong, and before any list is made of a part of them."""
    with pytest.raises(ArgumentError, match=words):
        served.recommend(someone(served), 2, rules=rules)


def test_collapse_and_more_editions_contradict_each_other(served: Recommender) -> None:
    """Both are said by the same question."""
    with pytest.raises(ArgumentError, match="collapse shows one edition"):
        served.recommend(someone(served), collapse=True, rules={"at_most": {"edition": 2}})
    with pytest.raises(ArgumentError, match="no scenario 'homepage'; it has none"):
        served.recommend(someone(served), scenario="homepage")
    with pytest.raises(ArgumentError, match="rules are a mapping"):
        served.recommend(someone(served), rules=[("exclude", [1])])  # type: ignore[arg-type]


def test_rules_of_a_question_are_added_to_a_scenarios() -> None:
    """Both filters hold; strengths, limits, diversity and pins of the question win; a contradiction is an error."""
    base = Rules("N_RATINGS>=1", [1, 2, 3], [9], {"tag=A": 1, "tag=B": 1}, {"tag=C": 1}, 0.3, {"tag": 2}, [1])
    own = Rules("tag=A", [2, 3, 4], [8], {"TAG=a": 2}, diversity=0, at_most={"edition": 1}, pin=[3])
    both = own.over(base)
    assert [str(each) for each in both.conditions] == ["N_RATINGS>=1", "tag=A"]
    assert (both.allowed, both.excluded, both.pinned) == ((2, 3), (9, 8), (3,))
    assert {str(condition): strength for condition, strength in both.lifts} == {"TAG=a": 2, "tag=B": 1, "tag=C": -1}
    assert (both.diversity, dict(both.limits)) == (0, {"tag": 2, "edition": 1})
    for contradiction in (Rules(bury={"tag=B": 1}), Rules(exclude=[1]), Rules(only=[2])):
        with pytest.raises(ArgumentError):
            contradiction.over(base)
