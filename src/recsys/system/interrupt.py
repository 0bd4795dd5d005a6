"""Ending at once on Ctrl-C and SIGTERM, whatever the process is busy with.

Python runs a signal handler between two bytecodes of the main thread; while that thread is inside a
solver, an index or a download, no handler runs for minutes. But the interpreter's own C handler
writes a byte to a wake-up pipe as the signal arrives, and a thread that waits at the other end ends
the process. Nothing needs to be tidied up: what is current is swapped in one step, what is staged is
removed by the next run, and the publisher's lock is gone with the process.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C ends the process with exit code 130, SIGTERM with 143: 128 and the signal's number."""


def end_at_once_on_signals(last_words: Callable[[str, int], tuple[str, str]]) -> Callable[[], None]:
    """End this process as soon as one of :data:`SIGNALS` arrives.

    To be called once, in the main thread, by the command line: a library leaves signals alone.

    Parameters
    ----------
    last_words
        Takes the name of the signal and the exit code, and returns what to write to stderr and to stdout. It must
        not take locks: the threads that hold them no longer run.

    Returns
    -------
    Callable
        Ends this, for code that handles the signals itself: they reach Python's handlers alone from then on.
    """
    receiving, sending = os.pipe()
    os.set_blocking(sending, False)
    signal.set_wakeup_fd(sending, warn_on_full_buffer=False)
    for number in SIGNALS:
        # A Python handler must be set for the C handler to be; that it does nothing is the point.
        signal.signal(number, _nothing)
    threading.Thread(target=_watch, args=(receiving, last_words), name="signals", daemon=True).start()
    return lambda: _leave(sending)


def _leave(sending: int) -> None:
    if (current := signal.set_wakeup_fd(-1)) != sending:  # somebody else's by now
        signal.set_wakeup_fd(current)


def _nothing(*_: object) -> None:
    pass


def _watch(receiving: int, last_words: Callable[[str, int], tuple[str, str]]) -> None:
    while True:
        number = os.read(receiving, 1)[0]
        if number in SIGNALS:  # other handlers of the process wake the pipe too
            code = 128 + number
            for stream, text in zip(
                (sys.__stderr__, sys.__stdout__), last_words(signal.Signals(number).name, code), strict=True
            ):
                _say(stream, text)
            os._exit(code)


def _say(stream: object, text: str) -> None:
    """Write without a stream's lock, and only if nobody has to be waited for: a full pipe must not keep us alive."""
    try:
        descriptor = stream.fileno()  # type: ignore[attr-defined]
        if text and select.select([], [descriptor], [], 0.2)[1]:
            os.write(descriptor, text.encode())
    except (AttributeError, OSError, ValueError):
        return
