"""Telling the outcome never decides it: closed, full, odd and abandoned streams, whatever a command has to say."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import pytest

import recsys
from factories.tables import RECIPE, write_marts
from recsys.errors import ArtifactWriteError
from recsys.pipeline.provenance import git_commit
from recsys.release.check import FreshProcess, check_here
from recsys.release.store import ReleaseStore
from recsys.system.streams import Stream, as_json, is_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

QUICK = tuple(part for key, value in RECIPE.items() for part in ("--set", f"cf.{key}={value}"))
SUMMARY = "the summary of the step could not be written"

LOST = {
    "stdout closed": ">&-",
    "stderr closed": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "stdout full": ">/dev/full",
    "stderr full": "2>/dev/full",
    "both full": ">/dev/full 2>/dev/full",
    "stdout read only": "1</dev/null",
    "stdout abandoned": "| true",
    "both abandoned": "2>&1 | true",
}
"""Ways to lose what a command says, as a shell writes them."""


def environment(**environ: str) -> dict[str, str]:
    """Return this process's environment with nothing of ours in it, and what is given."""
    noise = ("SNOWFLAKE_", "RECSYS_", "GITHUB_", "PYTHONIOENCODING")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(noise)}
    return {**clean, "PYTHONPATH": str(Path(recsys.__file__).parents[1]), **environ}


def shell(arguments: Sequence[str | Path], streams: str, cwd: Path, **environ: str) -> tuple[int, str, str]:
    """Run the command with streams as a shell writes them; return its exit code, and what was heard all the same."""
    # Where a reader leaves, it has left before the command says a word.
    script = f'{{ sleep 0.2; "$@"; echo $? >code; }} {streams}' if "|" in streams else f'"$@" {streams}; echo $? >code'
    command = [sys.executable, "-W", "ignore", "-m", "recsys", *map(str, arguments)]
    done = subprocess.run(
        ["bash", "-c", script, "bash", *command],
        cwd=cwd, env=environment(**environ), capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    written = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    assert "Traceback" not in written[1]
    assert "report it" not in written[1]
    return int((cwd / "code").read_text()), *written


@pytest.mark.parametrize("streams", LOST.values(), ids=LOST)
def test_a_failure_keeps_its_exit_code(tmp_path: Path, streams: str) -> None:
    """Whatever of the line, the JSON, the annotation and the summary of the step cannot be told."""
    summary = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "summary.md")}
    code, _, _ = shell(["train", "--source", "nowhere", "--json"], streams, tmp_path, **summary)
    assert code == 66


@pytest.mark.parametrize("streams", [LOST["all closed"], LOST["both full"], LOST["both abandoned"]])
def test_wrong_usage_stays_wrong_usage(tmp_path: Path, streams: str) -> None:
    """Exit 2, though nobody learns why."""
    assert shell(["train", "--bogus"], streams, tmp_path)[0] == 2


@pytest.mark.parametrize("streams", [LOST["all closed"], LOST["both full"]])
def test_a_run_that_published_exits_0(tmp_path: Path, streams: str) -> None:
    """With every stream lost: the release is whole, and nothing that was printed lies in the lock or elsewhere."""
    write_marts(tmp_path / "marts")
    summary = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "/dev/full"}
    code, _, _ = shell(["train", "--source", "marts", *QUICK, "-v"], streams, tmp_path, **summary)
    assert code == 0
    ReleaseStore(tmp_path / "models", check=check_here).verify()
    card = json.loads((tmp_path / "models" / ".lock").read_text())
    assert set(card) == {"holder", "process", "host", "since"}


@pytest.mark.parametrize("streams", [">&-", ">/dev/full", "| true"])
def test_what_stdout_cannot_take_is_told_on_stderr(tmp_path: Path, streams: str) -> None:
    """Of a command that has done something, and the exit code is 0."""
    cache = f"content.cache_dir={tmp_path / 'vectors'}"
    code, _, stderr = shell(["cache", "clear", "--set", cache, "--json"], streams, tmp_path)
    assert code == 0
    line = stderr.splitlines()[-1]
    assert line.startswith("recsys: stdout cannot be written (")
    assert json.loads(line[line.index("{") :])["vectors"] == 0


@pytest.mark.parametrize("command", [["--version"], ["--help"], ["cache", "info"]])
def test_an_answer_that_nobody_reads_is_no_failure(tmp_path: Path, command: list[str]) -> None:
    """``recsys show … | head`` has had enough, and whoever closes stdout wants no answer: exit 0, not a word."""
    for streams in ("| true", ">&-"):
        code, _, stderr = shell(command, streams, tmp_path)
        assert (code, stderr) == (0, "")


@pytest.mark.parametrize("command", [["--version"], ["--help"], ["cache", "info", "--json"]])
def test_an_answer_that_a_full_disk_loses_is_a_failure(tmp_path: Path, command: list[str]) -> None:
    """Exit 73 and one line with the reason: the answer was all that was asked for."""
    code, _, stderr = shell(command, ">/dev/full", tmp_path)
    assert code == 73
    assert stderr == "recsys: error: cannot write the answer to stdout: No space left on device; free some space on that file system\n"  # noqa: E501  # fmt: skip


@pytest.mark.parametrize("where", ["none/summary.md", ".", "/dev/full", "pipe"])
def test_a_summary_that_cannot_be_written_is_a_warning(tmp_path: Path, where: str) -> None:
    """No folder, a folder, a full disk, a pipe that nobody reads: exit code and JSON are those of the failure."""
    os.mkfifo(tmp_path / "pipe")
    arguments = ["train", "--source", "nowhere", "--json", "--log-format", "json"]
    code, out, err = shell(arguments, "", tmp_path, GITHUB_STEP_SUMMARY=str(tmp_path / where))
    assert code == json.loads(out)["exit_code"] == 66
    (event,) = [json.loads(line) for line in err.splitlines() if SUMMARY in line]
    assert event["level"] == "warning"
    assert event["file"] == str(tmp_path / where)
    assert "GITHUB_STEP_SUMMARY" in event["reason"]


def test_a_command_without_events_says_why_the_summary_is_missing(tmp_path: Path) -> None:
    """The reason is shown also where a command sets no logging up."""
    _, _, err = shell(["compare", "a", "b"], "", tmp_path, GITHUB_STEP_SUMMARY=str(tmp_path))
    assert f"warning: {SUMMARY} file={tmp_path} reason='Is a directory" in err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_no_encoding_lacks_a_sign(tmp_path: Path, encoding: str) -> None:
    """Names that the encoding of stdout or stderr does not have are written as escapes."""
    folder = tmp_path / "Café λ ✅"
    folder.mkdir()
    settings = ["--set", f"content.cache_dir={folder}"]
    code, out, _ = shell(["cache", "info", *settings], "| cat", tmp_path, PYTHONIOENCODING="ascii")
    assert code == 0
    assert r"Caf\xe9 \u03bb \u2705" in out
    code, _, err = shell(["report", "--models", folder], "", tmp_path, PYTHONIOENCODING=encoding)
    assert code == 76
    assert r"\u03bb" in err


def test_bytes_that_are_no_text_can_be_told(tmp_path: Path) -> None:
    """A name on the command line that is no UTF-8 comes back in the answer as an escape."""
    cache = os.fsdecode(b"content.cache_dir=caf\xe9")
    code, out, _ = shell(["cache", "info", "--set", cache], "| cat", tmp_path)
    assert code == 0
    assert r"caf\udce9" in out


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_is_json_in_every_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    r"""Escapes of Python's, such as ``\xe9``, would be none of JSON's."""
    answer = {"name": "Café λ 🎲", "path": os.fsdecode(b"caf\xe9")}
    binary = io.BytesIO()
    monkeypatch.setattr("sys.stdout", Stream(io.TextIOWrapper(binary, encoding, "backslashreplace")))
    sys.stdout.write(as_json(answer))
    sys.stdout.flush()
    assert json.loads(binary.getvalue().decode(encoding)) == answer


@pytest.mark.parametrize("variable", ["COLUMNS", "LINES", "TERMINAL_WIDTH"])
@pytest.mark.parametrize("value", ["0", "wide", "²", "9" * 30])
def test_a_width_that_is_none_is_not_looked_at(tmp_path: Path, variable: str, value: str) -> None:
    """The help is the one that is shown without it."""
    code, out, _ = shell(["cache", "--help"], "", tmp_path, **{variable: value})
    assert (code, "Remove every vector" in out) == (0, True)


def python(code: str, **streams: Any) -> subprocess.Popen[bytes]:
    """Start a process that runs ``code``."""
    return subprocess.Popen([sys.executable, "-c", code], env=environment(), **streams)


def test_closed_descriptors_are_given_to_no_file(tmp_path: Path) -> None:
    """A file that is opened after the start has none of the numbers that libraries print to."""
    script = (
        "import os; [os.close(number) for number in range(3)]\n"
        "from recsys.system.streams import take_over; take_over()\n"
        "file = os.open('file', os.O_RDWR | os.O_CREAT)\n"
        "os.write(1, b'printed'); os.write(2, b'printed'); print('printed', flush=True)\n"
        "os._exit(0 if file > 2 and os.fstat(file).st_size == 0 else 1)"
    )
    assert python(script, cwd=tmp_path).wait(60) == 0


def test_a_pipe_that_does_not_wait_is_waited_for() -> None:
    """Another program has made the pipe one that does not block: every byte arrives all the same."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    script = "from recsys.system.streams import answer, take_over; take_over(); answer('x' * 1_000_000, end='')"
    process = python(script, stdout=writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert len(pipe.read()) == 1_000_000
    assert process.wait(60) == 0


def test_a_terminal_that_goes_away_ends_no_run() -> None:
    """A bar is drawn on it, by a run that is told nothing about it."""
    script = (
        "import sys; from recsys.system.pulse import progress\n"
        "with progress('encoding', 2) as advance:\n"
        "    advance(1); print(sys.stdin.readline()); advance(1)\n"
        "sys.stderr = None"
    )
    ours, theirs = pty.openpty()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    process = python(script, stderr=theirs, start_new_session=True, **pipes)
    assert os.read(ours, 1)  # the bar
    os.close(theirs)
    os.close(ours)
    process.communicate(b"go on\n", timeout=60)
    assert process.returncode == 0


class Spoilt:
    """A stream that cannot do anything."""


class Raises(io.StringIO):
    """A stream that fails in a way of its own."""

    def write(self, text: str) -> int:
        """Fail."""
        raise RuntimeError(f"cannot write {text!r}")


def closed() -> io.StringIO:
    """Return a stream that was closed."""
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("odd", [None, Spoilt(), Raises(), closed()])
def test_a_stream_takes_every_write(odd: object) -> None:
    """Whatever is beneath it; what it cannot pass on is dropped."""
    stream = Stream(cast("TextIO", odd), again=False)
    assert stream.write("told") == 4
    stream.write_bytes(b"told")
    stream.flush()
    assert stream.failure is not None
    assert stream.reader_left
    assert not is_terminal(odd)


def test_a_log_goes_on_after_a_failure() -> None:
    """One line is lost, the next one is written: each is worth it."""

    class Full(io.StringIO):
        lines = 0

        def write(self, text: str) -> int:
            self.lines += 1
            if self.lines == 1:
                raise OSError(28, "No space left on device")
            return super().write(text)

    beneath = Full()
    stream = Stream(beneath)
    for line in ("first\n", "second\n"):
        stream.write(line)
    assert beneath.getvalue() == "second\n"


def test_the_fresh_process_may_speak_in_any_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that fails its check is told as such, whatever its folder is called and the variable says."""
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    with pytest.raises(ArtifactWriteError, match=r"failed its check in a fresh process: .*Café"):
        FreshProcess()(tmp_path / "Café")


def test_a_remark_of_git_is_no_failure(tmp_path: Path) -> None:
    """Git quotes the bytes of a folder's name, which need be no text."""
    assert git_commit(tmp_path / os.fsdecode(b"caf\xe9")) is None
