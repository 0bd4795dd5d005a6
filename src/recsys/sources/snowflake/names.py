"""The environment variables that say who signs in to Snowflake, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "SNOWFLAKE_"
WRITING_PREFIX = "SNOWFLAKE_EXPORT_"
"""Of the variables that say who writes an export: another role than the one that reads, and nothing is shared."""

NAMES = (
    "ACCOUNT", "USER", "ROLE", "WAREHOUSE", "DATABASE", "SCHEMA", "HOST", "PORT", "PROTOCOL", "AUTHENTICATOR",
    "PRIVATE_KEY_FILE", "PRIVATE_KEY_RAW", "PRIVATE_KEY_PASSPHRASE", "TOKEN", "TOKEN_FILE_PATH", "PASSWORD",
    "WORKLOAD_IDENTITY_PROVIDER",
)  # fmt: skip
"""Every variable that is read, without its prefix."""

ALIASES = {
    "PRIVATE_KEY_PATH": "PRIVATE_KEY_FILE",
    "PRIVATE_KEY": "PRIVATE_KEY_RAW",
    "PRIVATE_KEY_FILE_PWD": "PRIVATE_KEY_PASSPHRASE",
}
"""Older names, and the connector's, of three of them."""

SECRETS = ("PRIVATE_KEY_RAW", "PRIVATE_KEY_PASSPHRASE", "TOKEN", "PASSWORD")

PROVIDERS = ("AWS", "AZURE", "GCP", "OIDC")


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return those variables of an environment that are read here; others of the prefix are not ours."""
    known = {PREFIX + name for name in (*NAMES, *ALIASES)}
    return {name: value for name, value in environ.items() if name in known}
