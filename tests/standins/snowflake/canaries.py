"""Secrets that open the stand-in, easy to search for."""

from __future__ import annotations

from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

PASSPHRASE = "canary-passphrase-3b1f"
PASSWORD = "canary-password-77aa"
ACCESS_TOKEN = "canary-access-token-19c4"
OAUTH_TOKEN = "canary-oauth-token-58e0"
IDENTITY_TOKEN = jwt.encode({"iss": "https://ci.example", "sub": "canary-identity"}, "k" * 32)


@dataclass(frozen=True)
class KeyPair:
    """A key, as PEM texts."""

    plain: str
    encrypted: str
    public: str


def new_key() -> KeyPair:
    """Generate a key pair, encrypted with ``PASSPHRASE`` in one of its texts."""
    key = rsa.generate_private_key(65537, 2048)
    forms = [NoEncryption(), BestAvailableEncryption(PASSPHRASE.encode())]
    plain, encrypted = (key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, form).decode() for form in forms)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return KeyPair(plain, encrypted, public)
