"""The examination: in order, each check on its own, and none takes the others' time."""

from __future__ import annotations

import re
import threading
import tomllib
from pathlib import Path

from conftest import require_engine
from recsys.cli import doctor as command
from recsys.config import Settings
from recsys.doctor import Case, State, examine, exit_code
from recsys.doctor.bench import measured
from recsys.doctor.examination import CHECKS, Check
from recsys.doctor.findings import Seen
from recsys.doctor.machine import SNOWFLAKE, TRAINING, encoder
from recsys.doctor.marts import _bounded
from recsys.embedding import open_encoder
from recsys.embedding.bench import Way, best, in_turns, taken
from recsys.embedding.openvino_engine import computes_bfloat16
from recsys.embedding.plan import Plan
from recsys.embedding.processors import PRECISIONS
from recsys.errors import ConfigError, LockHeld
from recsys.system.memory import Memory, usable_memory


def fine(_: Case) -> Seen:
    """See nothing wrong."""
    return Seen("fine")


def locked(_: Case) -> Seen:
    """Fail."""
    raise LockHeld("held by somebody")


def wrong(_: Case) -> Seen:
    """Fail in another way."""
    raise ConfigError("wrong")


def test_a_failure_skips_what_needs_it_and_nothing_else(tmp_path: Path) -> None:
    """Also what needs it by way of another check; the exit code is the first failure's."""
    checks = (
        Check("a", fine), Check("b", locked, ("a",)), Check("c", fine, ("b",)), Check("d", fine, ("c",)),
        Check("e", wrong), Check("f", fine, ("a",)),
    )  # fmt: skip
    findings = list(examine(Case(tmp_path, 60), checks))
    assert [finding.state.value for finding in findings] == ["sound", "failed", "skipped", "skipped", "failed", "sound"]
    assert exit_code(findings) == 75
    assert [findings[place].text for place in (2, 3)] == ["not looked at: it needs b"] * 2


def test_a_bug_in_a_check_is_a_finding(tmp_path: Path) -> None:
    """Exit code 70, and the other checks are made."""

    def broken(_: Case) -> Seen:
        raise ZeroDivisionError("by zero")

    first, second = examine(Case(tmp_path, 60), (Check("a", broken), Check("b", fine)))
    assert first.failure is not None
    assert (first.failure.exit_code, second.state) == (70, State.sound)
    assert "report it" in first.text


def test_a_check_that_hangs_is_left(tmp_path: Path) -> None:
    """Exit code 75 and the option that gives more time; those after it are still made."""
    never = threading.Event()

    def hangs(_: Case) -> Seen:
        never.wait()
        return Seen("at last")

    first, second = examine(Case(tmp_path, 1), (Check("a", hangs), Check("b", fine)))
    never.set()
    assert first.failure is not None
    assert (first.failure.kind, first.failure.exit_code) == ("DeadlineExceeded", 75)
    assert "--limit" in first.text
    assert second.state is State.sound


def test_every_check_comes_after_those_that_it_needs() -> None:
    """The order is a run's, and names are no two alike."""
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(set(check.needs) <= set(names[: names.index(check.name)]) for check in CHECKS)


def test_every_check_is_on_the_page() -> None:
    """In the order of the page's table, which is that of the examination."""
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?`) \| .+ \| (.*)\|$", page, re.MULTILINE)
    assert [name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)] == [check.name for check in CHECKS]


def test_snowflake_is_asked_to_hurry() -> None:
    """Its own limits end before the doctor's, unless the settings are stricter."""
    bounded = _bounded(Settings.model_validate({"snowflake": {"login_timeout_s": 2}}), 5.5).snowflake
    assert (bounded.deadline_s, bounded.login_timeout_s) == (5.5, 2)
    assert (bounded.network_timeout_s, bounded.statement_timeout_s) == (5, 5)


def test_the_memory_of_a_container(tmp_path: Path) -> None:
    """What is left of its bound, or of the machine where that is less; a bound beyond the machine is none."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       8000 kB\nMemFree:         100 kB\nMemAvailable:   6000 kB\n")
    bound, used = tmp_path / "max", tmp_path / "current"
    used.write_text("1024000\n")
    for text, expected in (
        ("max", Memory(6_144_000)),
        ("2048000", Memory(1_024_000, 2_048_000)),
        ("7680000", Memory(6_144_000, 7_680_000)),
        ("9223372036854771712", Memory(6_144_000)),
    ):
        bound.write_text(f"{text}\n")
        assert usable_memory(meminfo, ((bound, used),)) == expected
    assert usable_memory(tmp_path / "none", ((tmp_path / "none", used),)) == Memory(None)


def test_the_packages_are_those_of_the_extras() -> None:
    """What the check looks for, the line that it names installs."""
    from importlib.metadata import requires

    from recsys import DISTRIBUTION

    for extra, modules in (("train", TRAINING), ("snowflake", SNOWFLAKE)):
        lines = [line for line in requires(DISTRIBUTION) or [] if line.endswith(f"extra == '{extra}'")]
        for module in modules:
            name = module.partition(".")[0]
            assert any(line.startswith(name) for line in lines), f"{name} is not in the extra {extra}"


def test_the_fastest_way_is_pinned() -> None:
    """The way that is taken anyway stays, unless another one is faster by a tenth."""
    ways = [Way(Plan("cpu", "float32", "openvino", 2), 109), Way(Plan("cpu", "bfloat16", "openvino", 2), 100)]
    assert best(ways, ways[1].plan) is ways[1]
    faster = Way(ways[0].plan, 111)
    assert best([faster, ways[1]], ways[1].plan) is faster
    assert faster.settings == {"engine": "openvino", "precision": "float32", "device": "cpu"}


def test_a_run_takes_what_its_engine_computes_in() -> None:
    """In bfloat16 it was planned, as the current release is, and OpenVINO computes in float32 here: that is the way."""
    ways = [Way(Plan("cpu", "float32", "torch", 2), 50), Way(Plan("cpu", "float32", "openvino", 2), 100)]
    assert taken(ways, Plan("cpu", "bfloat16", "openvino", 2)) is ways[1]
    assert taken(ways, ways[0].plan) is ways[0]


def test_ways_are_measured_in_turns() -> None:
    """Round by round, so that a machine that is busy for a while slows all; a slow one has fewer rounds."""
    asked = list[str]()
    ways = {name: lambda texts, name=name: asked.append(name + texts[0]) for name in ("a", "b")}
    taken_s = in_turns(ways, ["1"], rounds=3)
    assert asked == ["a1", "b1"] * 4, "once before, and three rounds"
    assert [len(seconds) for seconds in taken_s.values()] == [3, 3]
    assert [len(seconds) for seconds in in_turns(ways, ["1"], 3, long_s=1e-12).values()] == [1, 1]


def test_what_pins_a_faster_way_is_told_as_it_is_written() -> None:
    """As lines of recsys.toml, which settings read as what was pinned, and as options; else one line to pin a run's."""
    pin = {"engine": "openvino", "precision": "float32", "device": "cpu"}
    slow = {**pin, "precision": "bfloat16", "per_second": 29.0, "taken": True}
    rows = [{**pin, "per_second": 48.0, "taken": False}, slow]
    told = command._table({"ways": rows, "pin": pin, "as_planned": False, "times": 1.66})
    assert "1.66 times as fast" in told
    assert "--set content.engine=openvino --set content.precision=float32 --set content.device=cpu" in told
    piece = "\n".join(line.strip() for line in told[told.index("[content]") :].splitlines()[:4])
    assert tomllib.loads(piece) == {"content": pin}
    told = command._table({"ways": rows, "pin": pin, "as_planned": True, "times": 1.0})
    assert "[content]" not in told


def test_the_bench_measures_each_way_there_is(tmp_path: Path) -> None:
    """In each precision that it computes in and settings leave open; what it pins is taken by these settings."""
    require_engine("openvino")
    case = Case(tmp_path, 60)
    case.settings = Settings.model_validate({"content": {"engine": "openvino"}})
    encoder(case)
    speeds = measured(case, 2)
    ways = speeds["ways"]
    assert isinstance(ways, list)
    precisions = [precision for precision in PRECISIONS if precision == "float32" or computes_bfloat16()]
    assert [(way["engine"], way["precision"]) for way in ways] == [("openvino", each) for each in precisions]
    assert [way["precision"] for way in ways if way["taken"]] == [case.encoder.plan.precision]
    assert all(way["per_second"] > 0 for way in ways)
    told = command._table(speeds)
    assert all(way["engine"] in told for way in ways)
    pin = speeds["pin"]
    assert isinstance(pin, dict)
    assert " ".join(f"--set content.{name}={value}" for name, value in pin.items()) in told
    plan = open_encoder(Settings.model_validate({"content": pin}).content).plan
    assert pin == {"engine": plan.engine, "precision": plan.precision, "device": plan.device}
