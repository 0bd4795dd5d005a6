"""Pairs of keys for releases, as ``openssl`` makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from recsys.release.keys import Keys, PublicKeys, SigningKey

if TYPE_CHECKING:
    from pathlib import Path


class Pair(NamedTuple):
    """The files of a private and a public key."""

    private: Path
    public: Path

    @property
    def keys(self) -> Keys:
        """What publishes with this pair, and reads with it."""
        return Keys(self.readers, SigningKey(self.private))

    @property
    def readers(self) -> PublicKeys:
        """What reads with it."""
        return PublicKeys([self.public])


def make_pair(
    folder: Path, name: str = "release", passphrase: str = "", curve: type[ec.EllipticCurve] = ec.SECP256R1
) -> Pair:
    """Write a new pair of keys into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(curve())
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.pub")
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    form = serialization.PrivateFormat.PKCS8
    pair.private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    pair.public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, public))
    return pair
