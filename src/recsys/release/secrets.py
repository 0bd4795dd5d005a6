"""The secrets of the environment, which no manifest may hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from recsys.errors import ArtifactWriteError
from recsys.release.keys import GONE, UNLOCKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECRET_NAMES = ("PASSWORD", "PASSPHRASE", "TOKEN", "SECRET", "PRIVATE_KEY_RAW")
_OF_STORES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SSE_CUSTOMER_KEY_BASE64")
_SHORTEST = 6
"""Shorter values, such as ``test``, stand in texts by chance."""


def secret_values(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that hold a secret of the warehouse, of the signing key or of an object store, by name."""
    environ = os.environ if environ is None else environ
    return {
        name: value
        for name, value in environ.items()
        if len(value) >= _SHORTEST
        and (
            name in {UNLOCKING, GONE, *_OF_STORES}
            or (name.startswith("SNOWFLAKE_") and any(part in name for part in _SECRET_NAMES))
        )
    }


def refuse_secrets(tree: Any, environ: Mapping[str, str] | None = None) -> None:
    """Look for the secrets of the environment in every text of a tree.

    Raises
    ------
    ArtifactWriteError
        If one stands there; the message names the variable and the place, not the value.
    """
    secrets = secret_values(environ)
    for place, text in _texts(tree, ""):
        for name, value in secrets.items():
            if value in text:
                raise ArtifactWriteError(
                    f"the manifest would hold the value of {name} at {place or 'its top'}; nothing was published:"
                    " take it out of the settings"
                )


def _texts(tree: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, str):
        yield place, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield f"a key of {place}", str(key)
            yield from _texts(value, f"{place}.{key}".lstrip("."))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _texts(value, f"{place}[{number}]")
