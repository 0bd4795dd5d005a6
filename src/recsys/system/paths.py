"""Paths that people give: in settings, in the environment, on the command line, in Python.

All of them are read here, so that all of them mean the same.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""What an address begins with; a drive of Windows has one letter."""


def local_path(given: Path | str, what: str) -> Path:
    """Return the path of this machine that is meant; ``~`` at its beginning is the home folder.

    Parameters
    ----------
    given
        As people wrote it.
    what
        What it is, for the error: ``--output``, ``content.cache_dir``.

    Raises
    ------
    ConfigError
        If it is an address such as ``s3://bucket/models``, or no path at all.
    """
    text = os.fspath(given)
    refuse_address(text, what)
    if "\0" in text:
        raise ConfigError(f"{what} {text!r} is no path: a path holds no NUL; give another")
    expanded = os.path.expanduser(text)  # noqa: PTH111 - `./~` stays what it says, which `Path` does not keep
    if expanded.partition(os.sep)[0] == "~":
        raise ConfigError(f"{what} {text!r} begins with ~, and this user has no home folder; set HOME, or write it out")
    return Path(expanded)


def is_address(given: Path | str) -> bool:
    """Say whether this is the address of a store of releases: ``s3://bucket/prefix``."""
    return os.fspath(given).startswith("s3://")


def releases_place(given: Path | str) -> Path | str:
    """Return where releases are kept: an address as it is, else :func:`local_path`."""
    return os.fspath(given) if is_address(given) else local_path(given, "the folder of the releases")


def here(text: str) -> str:
    """Return a path of the settings; see :func:`refuse_address`."""
    refuse_address(text, "the path")
    return text


def here_or_store(text: str) -> str:
    """Return a path of the settings that may be the address of a store of releases."""
    return text if is_address(text) else here(text)


def cache_folder(setting: str = "", environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that ``content.cache_dir`` names, else ``recsys`` below ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if setting:
        return local_path(setting, "content.cache_dir")
    # The XDG specification has a relative path ignored.
    named = local_path(environ.get("XDG_CACHE_HOME", ""), "XDG_CACHE_HOME")
    if named.is_absolute():
        return named / "recsys"
    try:
        return Path.home() / ".cache" / "recsys"
    except RuntimeError:  # in a container, whose users often have none
        raise ConfigError("this user has no home folder to keep a cache in: set XDG_CACHE_HOME to a folder") from None


def named_path(part: str, what: str, whole: str, kinds: str) -> Path:
    """Return the path that stands in a text of several kinds, such as ``duckdb:FILE``; see :func:`local_path`.

    Parameters
    ----------
    part
        What stands there.
    what, whole
        What the text is, for the error, and all of it.
    kinds
        What it may be.

    Raises
    ------
    ConfigError
        If it is empty, or no path.
    """
    try:
        if not part:
            raise ConfigError("it names nothing")
        return local_path(part, what)
    except ConfigError as error:
        raise ConfigError(f"{what} {whole!r} is not one of: {kinds} ({error})") from None


def refuse_address(text: str, what: str) -> None:
    """Refuse an address: ``://``, or what a :class:`~pathlib.Path` leaves of it, a first folder ``s3:``.

    Raises
    ------
    ConfigError
        If it is one.
    """
    if "://" in text or _SCHEME.fullmatch(text.partition(os.sep)[0]):
        raise ConfigError(
            f"{what} {text!r} is an address, and only paths of this machine are read and written: give a folder or "
            "file, and copy it from or to there"
        )
