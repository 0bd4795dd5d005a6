"""A run is never silent for long: an event says what it is at, how far, how fast, and how long it takes still."""

from __future__ import annotations

import io
import json
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from factories.newcomers import GAMES, SETTINGS, sample_of
from factories.tables import RECIPE, TableSource, WordEncoder, games, ratings
from factories.tastes import tastes
from recsys.config import CfSettings, EvaluationSettings, Settings
from recsys.embedding.encoder import TextEncoder
from recsys.embedding.model import ModelIdentity
from recsys.embedding.plan import Plan
from recsys.evaluation.holdout import split
from recsys.evaluation.newcomers import measure_newcomers
from recsys.evaluation.scores import evaluate
from recsys.models.cf import CollaborativeFilter
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore
from recsys.sources import QueryResult
from recsys.system.log import LogFormat, events, last_event, set_up
from recsys.system.pulse import Activity, Pulse, progress, working
from recsys.system.steps import Steps
from recsys.trainer import Trainer
from recsys.tuning.study import Budget, tune

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from recsys.embedding.processors import Precision
    from recsys.marts.ratings import Ratings
    from recsys.release.keys import PublicKeys

SOON = 0.001
"""Seconds of silence, in place of the twenty that people are asked to bear."""
LONG = 120.0
"""Seconds after which a test gives up waiting for an event that does not come."""


class Ear(logging.Handler):
    """Hears what a run is at, and lets parts of it wait until they have been heard of."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[dict[str, Any]] = []
        self._news = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        """Note an event."""
        if record.getMessage() == "working":
            with self._news:
                self.heard.append(dict(vars(record)["recsys_keys"]))
                self._news.notify_all()

    def wait(self, **expected: Any) -> dict[str, Any]:
        """Wait for an event from now on that has these keys, and return it."""
        with self._news:
            since = len(self.heard)

            def event_seen() -> dict[str, Any] | None:
                return next((event for event in self.heard[since:] if expected.items() <= event.items()), None)

            event = self._news.wait_for(event_seen, LONG)
        assert event is not None, f"nothing was heard of {expected}; but of {self.heard[since:][-3:]}"
        return event


@pytest.fixture
def ear() -> Iterator[Ear]:
    """Listen to this package."""
    logger, ear = logging.getLogger("recsys"), Ear()
    level = logger.level
    logger.addHandler(ear)
    logger.setLevel(logging.INFO)
    yield ear
    logger.removeHandler(ear)
    logger.setLevel(level)


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def pulse_of(clock: Clock, heard: float = 0.0, quiet_s: float = 20.0) -> Pulse:
    """Return a pulse that nobody starts."""
    return Pulse(quiet_s, clock, lambda: heard)


def test_share_rate_and_time_left() -> None:
    """Of a part whose total is known: plain numbers, from the time since it began."""
    clock = Clock()
    pulse = pulse_of(clock)
    with pulse.during(Activity("embed", clock())):
        clock.now += 14
        with pulse.during(Activity("encoding texts", clock(), counted=True, total=27941, done=5120)):
            clock.now += 116
            assert pulse.as_event() == {
                "step": "embed", "what": "encoding texts", "done": 5120, "of": 27941,
                "share": 0.183, "per_second": 44.1, "seconds_left": 517, "seconds": 130,
            }  # fmt: skip


def test_a_part_without_a_total_tells_what_is_known() -> None:
    """How often and how fast, and the time limit with what of it is used."""
    clock = Clock()
    pulse = pulse_of(clock)
    with pulse.during(Activity("searching", clock(), counted=True, seconds_at_most=900.0, done=12)):
        clock.now += 96
        assert pulse.as_event() == {
            "what": "searching", "done": 12, "per_second": 0.125,
            "seconds_used": 96, "seconds_at_most": 900, "seconds": 96,
        }  # fmt: skip


@pytest.mark.parametrize("limit", [float("inf"), float("nan")])
def test_a_limit_that_is_none_is_not_told(limit: float) -> None:
    """``--minutes inf`` is a limit that nobody could print as a number."""
    assert "seconds_at_most" not in Activity("searching", 0.0, counted=True, seconds_at_most=limit).as_event(1.0)


def test_before_the_first_and_after_the_last_nothing_is_guessed() -> None:
    """No rate of nothing, and no time left where there is more than was announced."""
    assert Activity("fetching", 0.0, counted=True, total=5).as_event(9.0) == {"what": "fetching", "done": 0, "of": 5}
    late = Activity("fetching", 0.0, counted=True, total=5, done=9).as_event(9.0)
    assert late == {"what": "fetching", "done": 9, "of": 5, "per_second": 1.0}


def test_the_innermost_step_and_its_outermost_part_are_told() -> None:
    """A training within one of six says less about the step than the six do."""
    clock = Clock()
    pulse = pulse_of(clock)
    with (
        pulse.during(Activity("run", clock())),
        pulse.during(Activity("newcomers", clock())),
        pulse.during(Activity("training for newcomers", clock(), counted=True, total=6)),
        pulse.during(Activity("ALS iterations", clock(), counted=True, total=16)),
    ):
        assert pulse.as_event() == {
            "step": "newcomers", "what": "training for newcomers", "done": 0, "of": 6, "seconds": 0
        }  # fmt: skip


def test_an_event_is_due_when_the_last_one_is_too_old() -> None:
    """Whoever logged it; at first, from the beginning on."""
    clock = Clock(1000.0)
    assert pulse_of(clock).due_in() == 20
    heard = pulse_of(clock, heard=1003.0)
    clock.now = 1010.0
    assert heard.due_in() == 13
    clock.now = 1023.0
    assert heard.due_in() == 0


def test_an_event_of_this_package_is_one_that_was_heard(ear: Ear) -> None:
    """Those that nobody listens to are not."""
    logger = events("recsys.test_pulse")
    before = last_event()
    logger.debug("not shown")
    assert last_event() == before
    logger.info("something")
    assert last_event() > before


def test_one_long_call_is_heard_of(ear: Ear) -> None:
    """Nothing advances, nothing is logged: the event comes all the same, again and again."""
    with working("solve", SOON):
        for _ in range(3):
            assert ear.wait(step="solve")["seconds"] >= 0


def test_a_step_of_a_run_is_heard_of(ear: Ear) -> None:
    """Each step that is measured is watched, and none when it has ended."""
    steps = Steps(quiet_s=SOON)
    with steps.step("check"):
        ear.wait(step="check")
    assert "pulse" not in [thread.name for thread in threading.enumerate()]


def test_a_failing_step_is_watched_no_longer() -> None:
    """Its error is the one that is raised."""
    with pytest.raises(ValueError, match="spoilt"), working("solve", SOON), progress("iterations", 3):
        raise ValueError("spoilt")
    assert "pulse" not in [thread.name for thread in threading.enumerate()]


def test_without_threads_a_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may grant no more of them: then there are no such events."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    with working("solve", SOON), progress("iterations", 3) as advance:
        advance(3)


def test_both_log_formats_carry_numbers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """People read ``key=value``, programs an object with numbers in it."""
    root, own = logging.getLogger(), logging.getLogger("recsys")
    monkeypatch.setattr(root, "handlers", root.handlers[:])
    levels = root.level, own.level
    lines: dict[str, str] = {}
    formats: tuple[LogFormat, ...] = ("human", "json")
    for log_format in formats:
        set_up(log_format)
        said = ""
        with working("embed", SOON), progress("encoding texts", 4) as advance:
            advance(1)
            while "seconds_left" not in said:
                said += capsys.readouterr().err
        lines[log_format] = next(line for line in said.splitlines() if "seconds_left" in line)
    root.setLevel(levels[0])
    own.setLevel(levels[1])
    assert " working step=embed what='encoding texts' done=1 of=4 share=0.25 per_second=" in lines["human"]
    event = json.loads(lines["json"])
    assert (event["done"], event["of"], event["share"]) == (1, 4, 0.25)
    assert isinstance(event["per_second"], int | float)
    assert isinstance(event["seconds_left"], int)


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and counts what is drawn on it."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = threading.Semaphore(0)

    def isatty(self) -> bool:
        """Say so."""
        return True

    def write(self, text: str) -> int:
        """Count, and write."""
        self._drawn.release()
        return super().write(text)

    def wait(self, drawings: int) -> None:
        """Wait for so many writes from now on."""
        while self._drawn.acquire(blocking=False):
            pass
        for _ in range(drawings):
            assert self._drawn.acquire(timeout=LONG)


def test_on_a_terminal_a_bar_is_enough(monkeypatch: pytest.MonkeyPatch, ear: Ear) -> None:
    """While a bar is shown nothing is logged; a step that has none is heard of there too."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with working("embed", SOON):
        ear.wait(step="embed")
        with progress("encoding texts", 4), progress("a part of it", 2):
            before = len(ear.heard)
            terminal.wait(drawings=5)  # the bar is drawn anew ten times a second
            assert len(ear.heard) <= before + 1  # one that was under way
        ear.wait(step="embed")
    assert "encoding texts" in terminal.getvalue()
    assert "a part of it" not in terminal.getvalue()


def test_a_terminal_that_shows_no_bar_shows_events(monkeypatch: pytest.MonkeyPatch, ear: Ear) -> None:
    """``TERM=dumb``: there the bar would be drawn nowhere."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stderr", Terminal())
    with working("embed", SOON), progress("encoding texts", 4):
        ear.wait(what="encoding texts")


class HeardSource(TableSource):
    """A source that goes on when the fetch was heard of."""

    def __init__(self, ear: Ear, *tables: pa.Table) -> None:
        super().__init__(*tables)
        self.ear = ear

    def execute(self, sql: str) -> QueryResult:
        """Wait before the answer, and amid it."""
        self.ear.wait(step="fetch_ratings" if "RATINGS" in sql else "fetch_games")
        result = super().execute(sql)

        def batches() -> Iterator[pa.RecordBatch]:
            for number, batch in enumerate(result.batches):
                if number == 1:
                    self.ear.wait(step="fetch_ratings", what="fetching rows", done=100)
                yield batch

        return QueryResult(result.schema, batches(), None)


class HeardEncoder(WordEncoder):
    """An encoder that encodes when it was heard of."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear

    def encode(self, texts: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """Wait, and encode."""
        self.ear.wait(step="embed")
        return super().encode(texts)


def test_a_run_is_heard_of_from_end_to_end(tmp_path: Path, ear: Ear) -> None:
    """The fetch with its rows, the encoder, the check of what is published; and what lies between the steps."""
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in (games(), ratings())]
    settings = Settings.model_validate({"cf": RECIPE, "evaluation": {"newcomers": False, "resamples": 100}})

    def check(folder: Path, keys: PublicKeys | None = None) -> None:
        ear.wait(step="publish", what="checking the release in a fresh process")
        check_here(folder, keys)

    trainer = Trainer(
        {}, tmp_path, source=HeardSource(ear, *tables), settings=settings,
        embedding_model=HeardEncoder(ear), store=ReleaseStore(tmp_path, check=check),
    )  # fmt: skip
    trainer.steps.quiet_s = SOON
    assert trainer.run_pipeline().status == "published"
    assert "run" not in trainer.steps.seconds


def test_loading_the_model_is_heard_of(ear: Ear) -> None:
    """It may be fetched over the network first."""

    class Engine:
        precision: Precision = "float32"

        def embed(self, texts: Sequence[str]) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]]:
            ear.wait(what="encoding texts", done=0, of=2)
            yield np.arange(1), np.ones((1, 4), np.float32)
            ear.wait(what="encoding texts", done=1, of=2)
            yield np.arange(1, 2), np.ones((1, 4), np.float32)

    def load() -> Engine:
        ear.wait(what="loading the model")
        return Engine()

    plan = Plan(device="cpu", precision="float32", engine="torch", threads=1, batch_tokens=2048)
    encoder = TextEncoder(ModelIdentity("r", 4, 256), plan, load)
    with working("embed", SOON):
        encoder.encode(["a", "b"])


def test_the_search_for_settings_is_heard_of(ear: Ear) -> None:
    """With the time that it has used, and may use; then the iterations with their number."""
    settings = CfSettings(factors=8, iterations=6, threads=1, tuning_brake_s=77)

    def watch(*_: npt.NDArray[np.float32]) -> None:
        ear.wait(what="ALS iterations", of=6)

    with working("train_candidate", SOON):
        CollaborativeFilter(settings).fit(tastes(users=300, items=60), watch=watch)
    searching = [event for event in ear.heard if event.get("what") == "searching settings"]
    assert searching[-1]["done"] > 0
    assert searching[-1]["seconds_at_most"] == 77


def test_the_evaluation_is_heard_of(ear: Ear) -> None:
    """Users ranked of all."""
    settings = EvaluationSettings(users=0, resamples=100)
    parts = split(tastes(users=80, items=40), settings, 7.0)

    class Slow:
        name = "slow"

        def scores(self, users: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
            ear.wait(step="evaluate", what="ranking games for users", of=len(parts.users))
            return np.random.default_rng(0).random((len(users), 40), dtype=np.float32)

    with working("evaluate", SOON):
        evaluate([Slow()], parts, settings)


def test_the_long_search_is_heard_of(tmp_path: Path, ear: Ear) -> None:
    """Trials done of those to do, with the time."""
    settings = Settings(cf=CfSettings(factors=8, iterations=6, threads=1), evaluation=EvaluationSettings(resamples=100))
    with working("tune", SOON):
        tune(tastes(users=300, items=60), settings, tmp_path / "s.db", Budget(minutes=5, trials=2))
    trying = [event for event in ear.heard if event.get("what") == "trying settings"]
    assert trying[-1]["of"] == 2
    assert trying[-1]["seconds_at_most"] == 300
    assert {event["step"] for event in trying} == {"tune"}


def test_newcomers_are_heard_of(ear: Ear) -> None:
    """Trainings done of six."""
    sample = sample_of(tastes(users=300, items=GAMES))
    trained: list[int] = []

    def train(part: Ratings) -> CollaborativeFilter:
        ear.wait(step="newcomers", what="training for newcomers", done=len(trained), of=6)
        trained.append(part.matrix.nnz)
        return CollaborativeFilter(CfSettings.model_validate(RECIPE)).fit(part)

    with working("newcomers", SOON):
        measure_newcomers(sample, train, SETTINGS)
    assert len(trained) == 6
