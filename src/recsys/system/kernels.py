"""Plain Python that numba compiles on first use, kept in a cache of this user's."""

from __future__ import annotations

import os
import stat
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from recsys.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

    Kernel: TypeAlias = Callable[..., None]

# NaN and infinity stay what they are: a diverged fit must be seen, so no `nnan`, no `ninf`.
_FAST = {"reassoc", "contract", "arcp", "nsz"}


@cache
def compiled(function: Kernel, *, needed_for: str, exact: bool = False) -> Kernel:
    """Return a function compiled for this machine, from the user's cache where there is one.

    Parameters
    ----------
    function
        Loops over arrays, in plain Python.
    needed_for
        What cannot be done without numba, for the message.
    exact
        Keep each operation as it is written, in its order: the bits are those that numpy gives.

    Raises
    ------
    MissingExtra
        If numba is not installed.
    """
    try:
        import numba
    except ImportError:
        raise MissingExtra("train", needed_for) from None
    kernel: Any = numba.njit(nogil=True, fastmath=False if exact else _FAST, error_model="numpy")(function)
    folder = os.environ.get("NUMBA_CACHE_DIR") or _private_folder()
    if folder:
        # numba keeps compiled code beside the source where it can: not in other people's folders.
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
        try:
            kernel.enable_caching()
        finally:
            numba.config.CACHE_DIR = before
    result: Kernel = kernel
    return result


def _private_folder() -> Path | None:
    """Return a cache folder that only this user can write (it holds code), or None."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "recsys" / "numba"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return None
    ours = status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder if ours and os.access(folder, os.W_OK) else None
