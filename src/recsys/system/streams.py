"""What the command line says to people, and how it fails quietly.

Reporting the outcome must never decide it: a run that published has published, whether its output is
closed, full, or read by nobody. So the standard streams are replaced by :class:`Stream`, which
takes every write and drops what cannot be passed on. Other code writes through

- :func:`answer` for what a command was asked for; the command line looks at its end whether it arrived;
- :func:`tell` for what a command has done; where stdout cannot take it, it goes to stderr;
- :func:`note` for remarks on stderr.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import select
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping


_LEFT = {errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.ESHUTDOWN, errno.ENOTCONN}
"""What the system answers where nobody reads any more, or nothing was open to begin with."""
_WIDTHS = ("COLUMNS", "LINES", "TERMINAL_WIDTH")
_WIDEST = 10_000


class Stream(io.TextIOBase):
    """A text stream that takes every write; what the stream beneath cannot take is dropped.

    Parameters
    ----------
    beneath
        Any text stream, also one that is closed or odd (no ``isatty``, no ``fileno``); None for none.
    again
        Whether writes are tried again after one has failed: each line of a log is worth it, an answer
        with a hole is not.

    Attributes
    ----------
    failure
        What ended the stream; None while it goes on.
    """

    encoding: str = "utf-8"
    errors: str | None = "backslashreplace"

    def __init__(self, beneath: TextIO | None, *, again: bool = True) -> None:
        self._beneath = beneath
        self._lost: TextIO | None = None
        self._again = again
        self.failure: Exception | None = None
        self.encoding = getattr(beneath, "encoding", None) or "utf-8"
        self.terminal = self.isatty()
        if beneath is None:
            self.failure = OSError(errno.EBADF, "it is closed")

    @property
    def reader_left(self) -> bool:
        """Whether the failure is that nobody listens, and none of a disk."""
        if not isinstance(self.failure, OSError):
            return self.failure is not None
        return self.failure.errno in _LEFT or (self.failure.errno == errno.EIO and self.terminal)

    def write(self, text: str) -> int:
        """Write a text, as far as that can be done; return its length."""
        if not isinstance(text, str):
            raise TypeError(f"a text stream takes str, not {type(text).__name__}")
        self._attempt(lambda beneath: _put(beneath, text))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes as they are, whatever the encoding of texts."""

        def put(beneath: TextIO) -> None:
            if (binary := getattr(beneath, "buffer", None)) is None:
                beneath.write(data.decode())
            else:
                beneath.flush()
                binary.write(data)

        self._attempt(put)

    def flush(self) -> None:
        """Pass on what was written."""
        self._attempt(lambda beneath: beneath.flush())

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Whether a terminal shows what is written."""
        return is_terminal(self._beneath)

    def fileno(self) -> int:
        """Return the descriptor beneath, where there is one."""
        return super().fileno() if self._beneath is None else self._beneath.fileno()

    def _attempt(self, write: Callable[[TextIO], object]) -> None:
        if self._beneath is None:
            return
        try:
            write(self._beneath)
        except Exception as error:  # noqa: BLE001 - somebody else's stream may raise anything, and none of it counts
            if not self._again:
                # Kept: one that is finalized is flushed once more, and from Python 3.13 on that failure is printed.
                self.failure, self._beneath, self._lost = error, None, self._beneath


def _put(beneath: TextIO, text: str) -> None:
    try:
        beneath.write(text)
    except UnicodeEncodeError:  # a stream of somebody else's, whose encoding lacks a sign
        beneath.write(text.encode("ascii", "backslashreplace").decode())


class _Descriptor(io.FileIO):
    """Waits where it is full, also if another program has made the open file one that does not wait."""

    def write(self, data: Any) -> int:
        while True:
            try:
                return os.write(self.fileno(), data)
            except BlockingIOError:
                select.select([], [self.fileno()], [])


def is_terminal(stream: object) -> bool:
    """Whether a stream is a terminal; one that is None, closed or odd is none."""
    try:
        return bool(cast("TextIO", stream).isatty())
    except Exception:  # noqa: BLE001 - as above: a stream that cannot say is no terminal
        return False


def take_over(environ: MutableMapping[str, str] = os.environ) -> None:
    r"""Make the standard streams of this process fit for everything; nothing may be open yet.

    A descriptor that is closed is given the null device: else the next file that is opened, such as
    one of a release, would get its number, and whatever a library prints. No encoding lacks a sign:
    it is written as ``\u03bb``. Widths of terminals that are no widths are forgotten.
    """
    closed = {number for number in range(3) if not _is_open(number)}
    for number in sorted(closed):
        _occupy(number)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = _fit(sys.stdout, 1, closed=1 in closed, again=False)
    sys.stderr = _fit(sys.stderr, 2, closed=2 in closed, again=True)
    for name in _WIDTHS:
        if name in environ and not _is_width(environ[name]):
            del environ[name]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _occupy(number: int) -> None:
    """Open the null device; all lower numbers are taken, so that it gets this one."""
    try:
        opened = os.open(os.devnull, os.O_RDWR)
    except OSError:  # no /dev: what matters is that the number is taken
        opened = os.open("/", os.O_RDONLY)
    assert opened == number
    os.set_inheritable(number, True)  # noqa: FBT003 - its only argument


def _fit(given: TextIO | None, number: int, *, closed: bool, again: bool) -> Stream:
    """Return a stream on a descriptor in place of the usual one; any other is kept, and wrapped."""
    try:
        if not isinstance(given, io.TextIOWrapper) or given.fileno() != number:
            return Stream(given, again=again)
        if closed:
            return Stream(None, again=again)
        given.flush()
        binary = io.BufferedWriter(_Descriptor(number, "wb", closefd=False))
    except (OSError, ValueError):
        return Stream(given, again=again)
    lines = given.line_buffering or given.write_through
    return Stream(io.TextIOWrapper(binary, given.encoding, "backslashreplace", line_buffering=lines), again=again)


def _is_width(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= _WIDEST


def answer(text: str, end: str = "\n") -> None:
    """Print what a command was asked for."""
    if sys.stdout is not None:
        sys.stdout.write(text + end)
        sys.stdout.flush()


def answer_bytes(data: bytes) -> None:
    """Print a file on stdout, byte for byte."""
    stream = sys.stdout if isinstance(sys.stdout, Stream) else Stream(sys.stdout)
    stream.write_bytes(data)
    stream.flush()


def finite(value: Any) -> Any:
    """Return JSON values with null for every NaN and infinity, which JSON has no sign for."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    number = value.item() if hasattr(value, "item") else value  # numpy's scalars
    return None if isinstance(number, float) and not math.isfinite(number) else number


def as_json(value: Any) -> str:
    """Return JSON as people like to read it, in signs that stdout can show."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return json.dumps(finite(value), ensure_ascii=encoding.lower().replace("_", "-") not in {"utf-8", "utf8"})


def tell(text: str, end: str = "\n") -> None:
    """Say what a command has done: on stdout, or else on stderr. It is done, whether or not anybody reads this."""
    answer(text, end)
    if (failure := undelivered()) is not None:
        note(f"recsys: stdout cannot be written ({reason(failure)}); it was to say: {text}")


def note(text: str) -> None:
    """Say something on stderr."""
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")


def undelivered(*, but_left: bool = False) -> Exception | None:
    """Return why something written to stdout did not arrive, once; None if it did.

    Parameters
    ----------
    but_left
        Count it as delivered where nobody reads: a reader such as ``head`` has had enough, and a
        stream that is closed was closed on purpose.
    """
    stream = sys.stdout
    if not isinstance(stream, Stream):
        return None
    stream.flush()
    left, failure, stream.failure = stream.reader_left, stream.failure, None
    return None if but_left and left else failure


def reason(failure: Exception) -> str:
    """Return a failure in a few words."""
    return (isinstance(failure, OSError) and failure.strerror) or str(failure)
