"""The optional signature of a manifest: HMAC-SHA-256 with a key from the environment."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "RECSYS_SIGNING_KEY"
"""Environment variable that holds the key, as text."""

MIN_LENGTH = 16
"""Shorter keys are refused: they can be guessed."""


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
