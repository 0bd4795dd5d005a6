"""Events for people and for machines; bars on terminals only."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING

import pytest

from recsys.system.log import keys, set_up
from recsys.system.pulse import progress
from recsys.system.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("recsys.test")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave logging as it was."""
    root, own = logging.getLogger(), logging.getLogger("recsys")
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


def test_a_person_reads_a_line_with_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """Time, level unless it is plain information, event, keys; texts with blanks are quoted."""
    set_up("human")
    log.info("fetched", extra=keys(rows=5, seconds=0.12345))
    log.warning("repaired", extra=keys(what="two words"))
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(" fetched rows=5 seconds=0.1235")
    assert second.endswith(" warning: repaired what='two words'")


def test_a_machine_reads_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The same event as JSON, the traceback in a field of its own."""
    set_up("json")
    try:
        raise ValueError("spoilt")
    except ValueError:
        log.exception("failed", extra=keys(rows=5))
    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["level"], event["rows"]) == ("failed", "error", 5)
    assert "ValueError: spoilt" in event["traceback"]


def test_logs_stay_off_stdout_and_debug_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout belongs to the answer; ``-v`` shows this package's debug events, not other libraries'."""
    set_up("human")
    log.debug("hidden")
    set_up("human", verbose=True)
    log.debug("shown")
    logging.getLogger("elsewhere").info("not ours")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hidden" not in captured.err
    assert "shown" in captured.err
    assert "not ours" not in captured.err


def test_off_a_terminal_no_bar_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """In CI and cron the log lines tell the story."""
    with progress("encoding", 3) as advance:
        advance(3)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_a_step_within_another_counts_once() -> None:
    """What an inner step took is no part of the outer one's seconds: all together they are the run's."""
    steps = Steps()
    began = time.perf_counter()
    with steps.step("publish"):
        for _ in range(2):
            with steps.step("hybrid"):
                time.sleep(0.05)
    took = time.perf_counter() - began
    assert 0.1 <= steps.seconds["hybrid"] <= took
    assert steps.seconds["publish"] + steps.seconds["hybrid"] <= took + 0.002


def test_a_step_taken_twice_adds_up() -> None:
    """Seconds by step in order, and memory that never falls; a step that fails is measured too."""
    steps = Steps()
    with steps.step("fetch"):
        pass
    with pytest.raises(ValueError, match="spoilt"), steps.step("train"):
        raise ValueError("spoilt")
    before = steps.seconds["fetch"]
    with steps.step("fetch"):
        pass
    assert list(steps.seconds) == ["fetch", "train"]
    assert steps.seconds["fetch"] >= before
    assert steps.peak_mb["fetch"] >= steps.peak_mb["train"] > 1
