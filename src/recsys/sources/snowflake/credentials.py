"""Who signs in to Snowflake, and with what: read from ``SNOWFLAKE_*`` or a dictionary, checked at once.

Nothing else is consulted: no ``connections.toml``, no default of the connector. Every missing or
contradictory variable is named in one message; values never are, where they may be secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from recsys.errors import ConfigError
from recsys.sources.snowflake.keys import private_key
from recsys.sources.snowflake.names import ALIASES, NAMES, PREFIX, PROVIDERS, SECRETS, WRITING_PREFIX, variables
from recsys.system.paths import local_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SignIn(StrEnum):
    """A way of signing in; the value is the connector's ``authenticator``."""

    KEY_PAIR = "SNOWFLAKE_JWT"
    ACCESS_TOKEN = "PROGRAMMATIC_ACCESS_TOKEN"
    OAUTH = "OAUTH"
    WORKLOAD_IDENTITY = "WORKLOAD_IDENTITY"
    PASSWORD = "SNOWFLAKE"


@dataclass(frozen=True)
class Credentials:
    """An account, an identity, and one way of signing in.

    Attributes
    ----------
    account, user, role, warehouse, database, schema
        As the connector takes them; None leaves the choice to the user's defaults in Snowflake.
    host, port, protocol
        The address of a private link or a test server; None for the account's public address.
    sign_in
        The one way.
    secret
        What goes with it: the key in DER, the token or the password; empty for a workload
        identity that the platform vouches for.
    provider
        Who vouches for the workload identity.
    """

    account: str
    sign_in: SignIn
    user: str | None = None
    role: str | None = None
    warehouse: str | None = None
    database: str | None = None
    schema: str | None = None
    host: str | None = None
    port: int | None = None
    protocol: str | None = None
    provider: str | None = None
    secret: bytes | str = field(default="", repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """Texts that no message may contain."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Credentials:
        """Read the ``SNOWFLAKE_*`` variables; an empty one counts as not set.

        Raises
        ------
        ConfigError
            Naming every missing, malformed or contradictory variable.
        AuthenticationFailed
            If the private key is none, or its passphrase is wrong.
        """
        return _Reading(variables(environ)).credentials()

    @classmethod
    def for_writing(cls, environ: Mapping[str, str]) -> Credentials:
        """Read the ``SNOWFLAKE_EXPORT_*`` variables, which say all that is needed: none without ``EXPORT`` counts.

        Raises
        ------
        ConfigError
            Naming every missing, malformed or contradictory variable.
        AuthenticationFailed
            If the private key is none, or its passphrase is wrong.
        """
        known = {WRITING_PREFIX + name for name in (*NAMES, *ALIASES)}
        given = {name: value for name, value in environ.items() if name in known}
        return _Reading(given, WRITING_PREFIX, needed=("ROLE", "WAREHOUSE", "DATABASE", "SCHEMA")).credentials()

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Credentials:
        """Read the same from a dictionary, by the same names or the connector's (``account``, ``private_key_file``).

        Raises
        ------
        ConfigError
            Also for a key that is neither.
        AuthenticationFailed
            If the private key is none, or its passphrase is wrong.
        """
        known = {*NAMES, *ALIASES}
        unknown = sorted(str(key) for key in values if str(key).upper().removeprefix(PREFIX) not in known)
        if unknown:
            names = ", ".join(name.lower() for name in NAMES)
            raise ConfigError(f"Snowflake credentials have no key {', '.join(unknown)}; the keys are {names}")
        return _Reading(values).credentials()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are connected to."""
        host = self.host or f"{self.account}.snowflakecomputing.com".replace("_", "-").lower()
        return host, self.port or (80 if self.protocol == "http" else 443)

    def arguments(self) -> dict[str, Any]:
        """Return the connector's arguments: explicit, so that it looks nowhere else."""
        names = ("account", "user", "role", "warehouse", "database", "schema", "host", "port", "protocol")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        given["authenticator"] = self.sign_in.value
        if self.sign_in is SignIn.KEY_PAIR:
            given["private_key"] = self.secret
        elif self.sign_in is SignIn.PASSWORD:
            given["password"] = self.secret
        elif self.secret:
            given["token"] = self.secret
        if self.provider:
            given["workload_identity_provider"] = self.provider
        return given


class _Reading:
    """One pass over the given values that collects every problem before it raises."""

    def __init__(self, given: Mapping[str, Any], prefix: str = PREFIX, needed: Sequence[str] = ()) -> None:
        self._prefix, self._needed = prefix, needed
        self.problems: list[str] = []
        self.values: dict[str, str] = {}
        self.spelling: dict[str, str] = {}
        for key, value in given.items():
            name = key.upper().removeprefix(self._prefix)
            self._take(ALIASES.get(name, name), key, value)

    def _take(self, name: str, key: str, value: Any) -> None:
        text = value.decode() if isinstance(value, bytes) else "" if value is None else str(value)
        if not text.strip():
            return
        if name in self.values and self.values[name] != text:
            self.problems.append(f"{self.spelling[name]} and {key} contradict each other: set one")
        self.values[name], self.spelling[name] = text, key

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def named(self, name: str) -> str:
        return self.spelling.get(name, self._prefix + name)

    def credentials(self) -> Credentials:
        if not self.values and self._prefix == PREFIX:
            raise ConfigError(
                "Snowflake is the source, and no SNOWFLAKE_* variable is set: docs/snowflake.md lists them, and"
                " `recsys init` writes their names into .env.example. To try without Snowflake:"
                " `recsys train --source sample`"
            )
        account = self._account()
        sign_in = self._sign_in()
        if not self.get("USER") and sign_in in {SignIn.KEY_PAIR, SignIn.PASSWORD, None}:
            self.problems.append(f"{self.named('USER')} is not set")
        self.problems += [f"{self.named(name)} is not set" for name in self._needed if not self.get(name)]
        host, port, protocol = self._address()
        provider = self._provider(sign_in)
        secret = self._secret(sign_in)
        if self.problems or sign_in is None:
            raise ConfigError(
                "Snowflake credentials are not complete: "
                + "; ".join(self.problems)
                + f". They come from {self._prefix}* variables"
                + (" or Trainer(snowflake_creds={…})" if self._prefix == PREFIX else "")
                + "; docs/snowflake.md lists them"
            )
        return Credentials(
            account=account,
            sign_in=sign_in,
            **{name.lower(): self.get(name) for name in ("USER", "ROLE", "WAREHOUSE", "DATABASE", "SCHEMA")},
            host=host,
            port=port,
            protocol=protocol,
            provider=provider,
            secret=private_key(secret, self.get("PRIVATE_KEY_PASSPHRASE"), self._key_origin(), self._prefix)
            if sign_in is SignIn.KEY_PAIR
            else secret,
            hidden=self._hidden(secret),
        )

    def _account(self) -> str:
        account = self.get("ACCOUNT") or ""
        if not account:
            self.problems.append(f"{self.named('ACCOUNT')} is not set")
        elif not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", account) or "snowflakecomputing" in account:
            self.problems.append(
                f"{self.named('ACCOUNT')} is {account!r}, not an identifier such as MYORG-MYACCOUNT (no address)"
            )
        return account

    def _sign_in(self) -> SignIn | None:
        ways = {
            SignIn.KEY_PAIR: [name for name in ("PRIVATE_KEY_FILE", "PRIVATE_KEY_RAW") if self.get(name)],
            SignIn.ACCESS_TOKEN: [name for name in ("TOKEN", "TOKEN_FILE_PATH") if self.get(name)],
            SignIn.WORKLOAD_IDENTITY: ["WORKLOAD_IDENTITY_PROVIDER"] if self.get("WORKLOAD_IDENTITY_PROVIDER") else [],
            SignIn.PASSWORD: ["PASSWORD"] if self.get("PASSWORD") else [],
        }
        self.problems += [
            f"{' and '.join(self.named(name) for name in names)} are two of one thing: set one"
            for names in ways.values()
            if len(names) > 1
        ]
        if self.get("PRIVATE_KEY_PASSPHRASE") and not ways[SignIn.KEY_PAIR]:
            self.problems.append(f"{self.named('PRIVATE_KEY_PASSPHRASE')} is set, but no private key")
        if ways[SignIn.WORKLOAD_IDENTITY]:
            ways[SignIn.ACCESS_TOKEN] = []  # the token is the identity's own
        ways_set = [way for way, names in ways.items() if names]
        if len(ways_set) > 1:
            names = ", ".join(self.named(name) for way in ways_set for name in ways[way])
            self.problems.append(f"{names} are several ways of signing in: set one")
        return self._named_sign_in(ways_set[0] if ways_set else None)

    def _named_sign_in(self, implied: SignIn | None) -> SignIn | None:
        """Compare what the variables amount to with what ``SNOWFLAKE_AUTHENTICATOR`` says."""
        text = self.get("AUTHENTICATOR")
        if text is None:
            if implied is None:
                names = ", ".join(
                    self._prefix + name for name in ("PRIVATE_KEY_FILE", "PRIVATE_KEY_RAW", "TOKEN", "PASSWORD")
                )
                provider = f"{self._prefix}WORKLOAD_IDENTITY_PROVIDER"
                self.problems.append(f"no way of signing in is set: one of {names}, {provider}")
            return implied
        try:
            named = SignIn(text.upper())
        except ValueError:
            known = ", ".join(way.value.lower() for way in SignIn)
            self.problems.append(f"{self.named('AUTHENTICATOR')} is {text!r}, not one of {known}")
            return None
        tokens = {SignIn.ACCESS_TOKEN, SignIn.OAUTH}
        if implied is None:
            self.problems.append(
                f"{self.named('AUTHENTICATOR')} is {text!r}, but {self._prefix}{_NEEDS[named]} is not set"
            )
        elif named is not implied and not {named, implied} <= tokens:
            self.problems.append(
                f"{self.named('AUTHENTICATOR')} is {text!r}, which does not go with {self._prefix}{_NEEDS[implied]}"
            )
        return named

    def _address(self) -> tuple[str | None, int | None, str | None]:
        host, port, protocol = self.get("HOST"), self.get("PORT"), self.get("PROTOCOL")
        if host and not re.fullmatch(r"[A-Za-z0-9_.-]+", host):
            self.problems.append(f"{self.named('HOST')} is {host!r}, not a host name (no https://, no path)")
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            self.problems.append(f"{self.named('PORT')} is {port!r}, not a number from 1 to 65535")
            port = None
        if protocol and protocol.lower() not in {"http", "https"}:
            self.problems.append(f"{self.named('PROTOCOL')} is {protocol!r}, not https (or http to this machine)")
        elif protocol and protocol.lower() == "http" and not _is_loopback(host):
            self.problems.append(
                f"{self.named('PROTOCOL')} is http, which sends secrets in the clear: only to a loopback "
                f"{self.named('HOST')} such as 127.0.0.1"
            )
        return host, int(port) if port else None, protocol.lower() if protocol else None

    def _provider(self, sign_in: SignIn | None) -> str | None:
        if sign_in is not SignIn.WORKLOAD_IDENTITY:
            return None
        provider = (self.get("WORKLOAD_IDENTITY_PROVIDER") or "").upper()
        has_token = bool(self.get("TOKEN") or self.get("TOKEN_FILE_PATH"))
        if provider and provider not in PROVIDERS:
            self.problems.append(f"{self.named('WORKLOAD_IDENTITY_PROVIDER')} is none of {', '.join(PROVIDERS)}")
        elif provider == "OIDC" and not has_token:
            self.problems.append(
                f"{self.named('WORKLOAD_IDENTITY_PROVIDER')} is OIDC, but {self._prefix}TOKEN is not set"
            )
        elif provider and provider != "OIDC" and has_token:
            self.problems.append(f"{self.named('TOKEN')} does not go with the workload identity of {provider}")
        return provider

    def _secret(self, sign_in: SignIn | None) -> str:
        if sign_in is SignIn.KEY_PAIR:
            return self.get("PRIVATE_KEY_RAW") or self._file("PRIVATE_KEY_FILE")
        if sign_in is SignIn.PASSWORD:
            return self.get("PASSWORD") or ""
        return (self.get("TOKEN") or self._file("TOKEN_FILE_PATH")).strip()

    def _file(self, name: str) -> str:
        path = self.get(name)
        if not path:
            return ""
        try:
            return local_path(path, self.named(name)).read_text(encoding="utf-8")
        except (ConfigError, OSError, UnicodeDecodeError) as error:
            reason = (
                "not a text file"
                if isinstance(error, UnicodeDecodeError)
                else str(getattr(error, "strerror", None) or error)
            )
            self.problems.append(f"{self.named(name)} names {path!r}, which cannot be read: {reason}")
            return ""

    def _key_origin(self) -> str:
        return self.named("PRIVATE_KEY_RAW" if self.get("PRIVATE_KEY_RAW") else "PRIVATE_KEY_FILE")

    def _hidden(self, secret: str) -> tuple[str, ...]:
        texts = {secret, *(self.values.get(name, "") for name in SECRETS)}
        return tuple(sorted((text for text in texts if text), key=len, reverse=True))


_NEEDS = {
    SignIn.KEY_PAIR: "PRIVATE_KEY_FILE",
    SignIn.ACCESS_TOKEN: "TOKEN",
    SignIn.OAUTH: "TOKEN",
    SignIn.WORKLOAD_IDENTITY: "WORKLOAD_IDENTITY_PROVIDER",
    SignIn.PASSWORD: "PASSWORD",
}


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
