"""Secrets: the key that signs manifests, and those of the environment that no manifest may hold."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Any

from recsys.errors import ArtifactWriteError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "RECSYS_SIGNING_KEY"
"""Environment variable that holds the key, as text."""

MIN_LENGTH = 16
"""Shorter keys are refused: they can be guessed."""

_SECRET_NAMES = ("PASSWORD", "PASSPHRASE", "TOKEN", "SECRET", "PRIVATE_KEY_RAW")
_SHORTEST = 6
"""Shorter values, such as ``test``, stand in texts by chance."""


def key_from_environment(environ: Mapping[str, str] | None = None) -> bytes | None:
    """Return the key, or None where the variable is unset or empty.

    Parameters
    ----------
    environ
        The environment; ``os.environ`` when not given.

    Raises
    ------
    ConfigError
        If the key is shorter than :data:`MIN_LENGTH` bytes.
    """
    text = (os.environ if environ is None else environ).get(VARIABLE, "")
    if not text:
        return None
    key = text.encode("utf-8", "surrogateescape")
    if len(key) < MIN_LENGTH:
        raise ConfigError(
            f"{VARIABLE} has {len(key)} bytes; a signing key needs at least {MIN_LENGTH}, better 32 random ones"
        )
    return key


def sign(manifest: bytes, key: bytes) -> bytes:
    """Return the content of the signature file: 64 hex digits and a line feed."""
    return hmac.new(key, manifest, hashlib.sha256).hexdigest().encode() + b"\n"


def is_signed_by(manifest: bytes, signature: bytes, key: bytes) -> bool:
    """Return whether ``signature`` belongs to ``manifest`` and ``key``, in constant time."""
    return hmac.compare_digest(sign(manifest, key), signature)


def secret_values(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that hold a secret of the warehouse or the signing key, by name."""
    environ = os.environ if environ is None else environ
    return {
        name: value
        for name, value in environ.items()
        if len(value) >= _SHORTEST
        and (name == VARIABLE or (name.startswith("SNOWFLAKE_") and any(part in name for part in _SECRET_NAMES)))
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
