"""What each rule costs at answer time, side by side with the same question without it.

    python benchmarks/rules.py MODELS [--users 300]

MODELS is a folder of releases; it is only read. Each user is asked for without a rule and by each rule in turn, so
that all of them meet the machine alike; a rule's cost is the median of what it takes more, user by user. Seconds are
CPU time of the thread.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import recsys
from recsys.serving import Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.serving import Answer, Recommender


def rules_for(served: Recommender) -> dict[str, dict[str, Any]]:
    """Return one question a rule: what is given to ``recommend``."""
    catalogue, rng = served.snapshot.catalogue, random.Random(0)
    counts: dict[str, int] = {}
    for tags in catalogue.tags["CATEGORIES"]:
        for tag in tags:
            counts[tag] = counts.get(tag, 0) + 1
    common, other = sorted(counts, key=lambda tag: -counts[tag])[:2]
    some = rng.sample(catalogue.ids, len(catalogue) // 2)
    return {
        "no rule": {},
        "filters": {"rules": Rules(f"CATEGORIES={common}")},
        "only, half of the games": {"rules": Rules(only=some)},
        "exclude, 20 games": {"rules": Rules(exclude=some[:20])},
        "exclude, 10,000 games": {"rules": Rules(exclude=some[:10_000])},
        "boost a tag": {"rules": Rules(boost={f"CATEGORIES={common}": 0.5})},
        "boost and bury": {"rules": Rules(boost={f"CATEGORIES={common}": 0.5}, bury={f"CATEGORIES={other}": 0.5})},
        "diversity": {"rules": Rules(diversity=0.3)},
        "at_most 2 of a tag": {"rules": Rules(at_most={"tag": 2})},
        "at_most 1 edition": {"rules": Rules(at_most={"edition": 1})},
        "pin 3 games": {"rules": Rules(pin=some[:3])},
        "as text, new each time: exclude 20": {"fresh": lambda: {"exclude": rng.sample(catalogue.ids, 20)}},
        "as text, new each time: boost a tag": {
            "fresh": lambda: {"boost": {f"CATEGORIES={common}": rng.random() + 0.1}}
        },
    }


def measure(
    ask: Callable[..., Answer], questions: list[Any], rules: dict[str, dict[str, Any]]
) -> dict[str, list[float]]:
    """Return the seconds of each question by each rule."""
    seconds: dict[str, list[float]] = {name: [] for name in rules}
    for question in questions:
        for name, given in rules.items():
            more = {"rules": given["fresh"]()} if "fresh" in given else given
            started = time.thread_time()
            ask(question, **more)
            seconds[name].append(time.thread_time() - started)
    return seconds


def table(title: str, seconds: dict[str, list[float]]) -> None:
    """Print what each rule takes, and what it takes more."""
    plain = seconds["no rule"]
    print(f"\n| {title} | median ms | fastest ms | more than without, median ms |\n| --- | --- | --- | --- |")
    for name, taken in seconds.items():
        more = statistics.median(one - other for one, other in zip(taken, plain, strict=True))
        print(f"| {name} | {statistics.median(taken) * 1e3:.2f} | {min(taken) * 1e3:.2f} | {more * 1e3:+.2f} |")


def main() -> None:
    """Measure the rules by each way to rank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("--users", type=int, default=300)
    chosen = parser.parse_args()
    served = recsys.load(chosen.models / "v1", eager=True)
    at, rng = served.snapshot, random.Random(1)
    users = at.people.users.ids(rng.sample(range(len(at.people.users)), chosen.users))
    rated = [at.catalogue.ids[rng.choice(at.taste.rows)] for _ in users]
    rules = rules_for(served)
    print(
        f"{len(at.catalogue):,} games, {len(at.taste.rows):,} of them with factors, {at.taste.factors.shape[1]} factors"
    )
    ways: dict[str, tuple[Callable[..., Answer], list[Any]]] = {
        "recommend, by taste": (served.recommend, users),
        "recommend, by blend": (lambda id_, **more: served.recommend(id_, by="blend", **more), users),
        "similar, by blend": (served.similar, rated),
        "similar, by content": (lambda id_, **more: served.similar(id_, by="content", **more), rated),
    }
    for title, (ask, questions) in ways.items():
        measure(ask, questions[:3], rules)
        table(title, measure(ask, questions, rules))


if __name__ == "__main__":
    main()
