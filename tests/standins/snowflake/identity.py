"""Who may sign in: keys, tokens and passwords are verified as the service does."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

WRONG = {
    "SNOWFLAKE_JWT": ("390144", "JWT token is invalid."),
    "PROGRAMMATIC_ACCESS_TOKEN": ("394400", "Programmatic access token is invalid."),
    "OAUTH": ("390303", "Invalid OAuth access token."),
    "WORKLOAD_IDENTITY": ("390144", "Workload identity is invalid."),
    "SNOWFLAKE": ("390100", "Incorrect username or password was specified."),
}


@dataclass
class Identity:
    """The one user, and everything that opens the door for it.

    Attributes
    ----------
    account, user
        As they sign in, in capitals.
    public_key
        In PEM.
    access_token, oauth_token, identity_token, password
        None where that way is closed.
    """

    account: str = "STANDIN"
    user: str = "TRAINER"
    public_key: str | None = None
    access_token: str | None = None
    oauth_token: str | None = None
    identity_token: str | None = None
    password: str | None = None
    seen: list[str] = field(default_factory=list)

    def refuses(self, data: dict[str, Any]) -> tuple[str, str] | None:
        """Return the code and message that a login request deserves; None lets it in."""
        way = data.get("AUTHENTICATOR", "SNOWFLAKE").upper()
        self.seen.append(way)
        expected = {
            "PROGRAMMATIC_ACCESS_TOKEN": self.access_token,
            "OAUTH": self.oauth_token,
            "WORKLOAD_IDENTITY": self.identity_token,
        }
        if way == "SNOWFLAKE_JWT":
            valid = self._signed(data.get("TOKEN", ""))
        elif way == "SNOWFLAKE":
            named = str(data.get("LOGIN_NAME")).upper() == self.user
            valid = named and self.password is not None and data.get("PASSWORD") == self.password
        else:
            valid = expected.get(way) is not None and data.get("TOKEN") == expected[way]
        return None if valid else WRONG.get(way, ("390100", "Unknown way of signing in."))

    def _signed(self, token: str) -> bool:
        """Verify signature, issuer, subject and age of a key-pair token."""
        if self.public_key is None:
            return False
        key = load_pem_public_key(self.public_key.encode())
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        fingerprint = "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()
        try:
            claims = jwt.decode(token, key, algorithms=["RS256"])  # type: ignore[arg-type]
        except jwt.InvalidTokenError:
            return False
        subject = f"{self.account}.{self.user}"
        return claims.get("sub") == subject and claims.get("iss") == f"{subject}.{fingerprint}"
