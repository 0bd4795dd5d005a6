"""Observers of a run: what they hear, and that nothing they do decides anything."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from factories.tables import RECIPE, TableSource, WordEncoder, games, ratings
from recsys.config import Settings
from recsys.errors import QualityGateFailed, TruncatedResult
from recsys.pipeline.observers import RunObserver
from recsys.release.check import check_here
from recsys.release.metrics import Metrics
from recsys.release.store import ReleaseStore
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVENTS = ("began", "step", "judged", "refused", "published", "ended", "failed")


class Listener(RunObserver):
    """Notes each event, and does something at one of them."""

    def __init__(self, event: str = "", act: Callable[[], object] = lambda: None) -> None:
        self.heard: list[tuple[str, tuple[Any, ...]]] = []
        for name in EVENTS:
            setattr(self, name, self._hearing(name, act if name == event else lambda: None))

    def _hearing(self, name: str, act: Callable[[], object]) -> Callable[..., None]:
        def hear(*arguments: Any) -> None:
            self.heard.append((name, arguments))
            act()

        return hear

    def names(self) -> list[str]:
        """Return the events in order, a row of steps once."""
        names = [name for name, _ in self.heard]
        return [name for place, name in enumerate(names) if name != "step" or names[place - 1] != "step"]


def trainer(output: Path, *observers: RunObserver, announced: int | None = None, **sections: dict[str, Any]) -> Trainer:
    """Return a quick trainer that these observers hear."""
    marts = (pa.Table.from_pandas(frame, preserve_index=False) for frame in (games(), ratings()))
    settings = Settings.model_validate({"cf": RECIPE, "evaluation": {"newcomers": False, "resamples": 100}, **sections})
    return Trainer(
        {},
        output,
        source=TableSource(*marts, announced=announced),
        settings=settings,
        embedding_model=WordEncoder(),
        store=ReleaseStore(output, check=check_here),
        observers=observers,
    )


def reach(event: str, output: Path, observer: RunObserver, **sections: Any) -> Trainer:
    """Run until an event has happened, and check that the run ended as it does without observers."""
    if event == "refused":
        made = trainer(output, observer, gate={"floor": 0.99}, **sections)
        with pytest.raises(QualityGateFailed):
            made.run_pipeline()
    elif event == "failed":
        made = trainer(output, observer, announced=7, **sections)
        with pytest.raises(TruncatedResult):
            made.run_pipeline()
    elif event == "ended":
        made = trainer(output, observer, **sections)
        assert made.check().status == "checked"
    else:
        made = trainer(output, observer, **sections)
        result = made.run_pipeline()
        assert result.status == "published"
        assert (output / "v1").resolve() == result.path
    return made


def test_events_come_in_order(tmp_path: Path) -> None:
    """A run is heard from its beginning to its one end; each step with its seconds."""
    observer = Listener()
    result = trainer(tmp_path, observer).run_pipeline()
    assert observer.names() == ["began", "step", "judged", "step", "published"]
    steps = [arguments for name, arguments in observer.heard if name == "step"]
    assert {name for name, _, _ in steps} == result.seconds.keys()
    assert sum(seconds for _, seconds, _ in steps) == pytest.approx(sum(result.seconds.values()), abs=0.01)
    assert observer.heard[0][1] == (result.run_id, tmp_path)
    assert observer.heard[-1][1] == (result,)
    again = Listener()
    trainer(tmp_path, again).run_pipeline()
    assert again.names() == ["began", "step", "ended"]
    assert again.heard[-1][1][0].status == "nothing new"


def test_halves_are_heard_of(tmp_path: Path) -> None:
    """Also a run that trains one half begins, and ends once."""
    first, second, third = Listener(), Listener(), Listener()
    trainer(tmp_path, first).train_cf_model(publish=False)
    trainer(tmp_path).run_pipeline()
    trainer(tmp_path, second, cf={**RECIPE, "seed": 9}).train_cf_model()
    trainer(tmp_path, third).train_rag_model()
    assert first.names() == ["began", "step", "ended"]
    assert second.names() == ["began", "step", "judged", "step", "published"]
    assert third.names() == ["began", "step", "published"]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("error", [ValueError("no\nroom"), SystemExit(3), KeyboardInterrupt()])
def test_one_that_raises_decides_nothing(event: str, error: BaseException, tmp_path: Path) -> None:
    """The run ends as without it, with the release or the error that it would have ended with."""

    def fail() -> None:
        raise error

    observer = Listener(event, fail)
    reach(event, tmp_path, observer)
    assert event in observer.names()


@pytest.mark.parametrize("event", EVENTS)
def test_one_that_hangs_is_left_behind(event: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After observers.limit_s the run goes on; the observer hears nothing more, and a warning says so."""
    never = threading.Event()
    observer = Listener(event, never.wait)
    reach(event, tmp_path, observer, observers={"limit_s": 0.05})
    never.set()
    assert observer.names()[-1] == event
    assert "an observer of the run failed" in caplog.messages


def test_what_went_wrong_stands_in_the_result(tmp_path: Path) -> None:
    """The first problem of each observer, by its name; also in the JSON line."""

    def fail() -> None:
        raise ValueError("no\nroom")

    witness = Listener()
    result = trainer(tmp_path, Listener("judged", fail), witness).run_pipeline()
    assert result.observers == {"Listener": "judged: ValueError: no room"}
    assert result.to_json()["observers"] == result.observers
    assert witness.heard[-1][1][0].observers == result.observers


def test_an_observer_gets_copies(tmp_path: Path) -> None:
    """Whatever it does to what it is given, the release holds what was found."""

    class Vandal(RunObserver):
        def judged(self, metrics: dict[str, Any]) -> None:
            metrics.clear()

    result = trainer(tmp_path, Vandal()).run_pipeline()
    assert result.trial is not None
    verdict = Metrics.model_validate(result.trial).verdict
    assert verdict is not None
    assert verdict.passed
    assert result.path is not None
    assert b'"verdict"' in (result.path / "metrics.json").read_bytes()
