"""The key pair of releases: a private key signs them, public keys say whose releases are loaded.

Only who publishes has the private key. Readers have public keys: while the pair is
changed, the old one and the new.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

from recsys.errors import ConfigError, MissingExtra
from recsys.system.paths import local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

Key = TypeVar("Key")

SIGNING = "RECSYS_SIGNING_KEY_FILE"
"""Environment variable that names the file of the private key."""
UNLOCKING = "RECSYS_SIGNING_KEY_PASSPHRASE"
"""Environment variable that holds its passphrase."""
PUBLIC = "RECSYS_PUBLIC_KEY_FILES"
"""Environment variable that names the files of the public keys, with a colon between two."""
GONE = "RECSYS_SIGNING_KEY"
"""Environment variable that held the one key of the HMAC, until format 3.1."""

_PAIR = (
    "make a pair with `openssl ecparam -name prime256v1 -genkey -noout -out release.pem` and"
    " `openssl ec -in release.pem -pubout -out release.pub`"
)


class PublicKeys:
    """The public keys of which one must have signed a release.

    Parameters
    ----------
    files
        PEM files, each with one public key of the curve P-256.

    Raises
    ------
    ConfigError
        If there is none, or one is no such key.
    MissingExtra
        If the extra ``sign`` is not installed.
    """

    def __init__(self, files: Sequence[Path | str]) -> None:
        if not files:
            raise ConfigError("no public key is named: name at least one file")
        self.files = tuple(local_path(file, "the file of a public key").absolute() for file in files)
        if odd := [file for file in self.files if os.pathsep in str(file)]:
            raise ConfigError(f"{odd[0]} has a {os.pathsep!r} in its path, which parts two files in {PUBLIC}: move it")
        self._keys = {hint_of(key): key for key in map(_public_key, self.files)}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self | None:
        """Return the keys that ``RECSYS_PUBLIC_KEY_FILES`` names, or None where it is unset or empty.

        Raises
        ------
        ConfigError
            As the class; and if the variable of the HMAC's key is set, of which nothing is checked any longer.
        MissingExtra
            As the class.
        """
        environ = os.environ if environ is None else environ
        if environ.get(GONE):
            raise ConfigError(
                f"{GONE} is set, and no longer read: releases are signed with a pair of keys. Unset it; where releases"
                f" are loaded, name the public key's file in {PUBLIC}, and where they are published the private key's"
                f" in {SIGNING} too; {_PAIR}"
            )
        names = environ.get(PUBLIC, "")
        return cls([name for name in names.split(os.pathsep) if name]) if names else None

    def find(self, hint: str) -> EllipticCurvePublicKey | None:
        """Return the key of a hint, None where it is none of these."""
        return self._keys.get(hint)

    def environment(self) -> dict[str, str]:
        """Return the variable that names these keys, for another process."""
        return {PUBLIC: os.pathsep.join(map(str, self.files))}


class SigningKey:
    """The private key that signs releases.

    Parameters
    ----------
    file
        PEM file with a private key of the curve P-256.
    passphrase
        Where it is encrypted.

    Raises
    ------
    ConfigError
        If it is no such key, or the passphrase is missing, wrong or not needed.
    MissingExtra
        If the extra ``sign`` is not installed.
    """

    def __init__(self, file: Path | str, passphrase: str | None = None) -> None:
        self._key = _private_key(local_path(file, "the file of the private key"), passphrase)
        self.hint = hint_of(self._key.public_key())

    @classmethod
    def from_environment(cls, public: PublicKeys | None, environ: Mapping[str, str] | None = None) -> Self | None:
        """Return the key that ``RECSYS_SIGNING_KEY_FILE`` names, or None where nothing is signed.

        Parameters
        ----------
        public
            What releases must be signed with: a release is checked before it is published.
        environ
            The environment; ``os.environ`` when not given.

        Raises
        ------
        ConfigError
            As the class; and if there are public keys and no private one, or the other way round, or they are no pair.
        MissingExtra
            As the class.
        """
        environ = os.environ if environ is None else environ
        file = environ.get(SIGNING, "")
        if not file and public is None:
            return None
        if not file:
            raise ConfigError(
                f"{PUBLIC} is set and {SIGNING} is not: what would be published is not signed, and would be refused;"
                " name the private key's file, or publish elsewhere"
            )
        if public is None:
            raise ConfigError(
                f"{SIGNING} is set and {PUBLIC} is not: a release is checked before it is published; write"
                " its public key with `openssl ec -in KEY -pubout -out KEY.pub`, and name that file"
            )
        key = cls(file, environ.get(UNLOCKING) or None)
        if public.find(key.hint) is None:
            raise ConfigError(
                f"the key in {SIGNING} belongs to none of those in {PUBLIC}: what it signs would be refused; name its"
                " public key there too"
            )
        return key

    def sign(self, message: bytes) -> bytes:
        """Return the ECDSA signature with SHA-256 of a message, in DER."""
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        return self._key.sign(message, ECDSA(SHA256()))


class Keys(NamedTuple):
    """What releases are checked with, and what signs the next.

    Attributes
    ----------
    public
        One of them must have signed a release; None where that is not asked.
    signing
        None where nothing is signed, or nothing published yet.
    """

    public: PublicKeys | None = None
    signing: SigningKey | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """Return the public keys of the environment; who only reads needs no other, and none is read."""
        return cls(PublicKeys.from_environment())

    def for_publishing(self) -> Self:
        """Return these keys with the private one, read from the environment where none was given.

        Raises
        ------
        ConfigError, MissingExtra
            As :meth:`SigningKey.from_environment`.
        """
        return self if self.signing else self._replace(signing=SigningKey.from_environment(self.public))


def hint_of(key: EllipticCurvePublicKey) -> str:
    """Return what a signature names its key by: the SHA-256 of the public key's PEM, in hex."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _public_key(file: Path) -> EllipticCurvePublicKey:
    _needs_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = _parsed(file, "public", load_pem_public_key)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigError(f"{file} holds a public key of another kind than P-256; {_PAIR}")
    return key


def _private_key(file: Path, passphrase: str | None) -> EllipticCurvePrivateKey:
    _needs_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    secret = passphrase.encode("utf-8", "surrogateescape") if passphrase else None
    try:
        key = _parsed(file, "private", lambda data: load_pem_private_key(data, secret))
    except TypeError:  # what cryptography makes of a passphrase that is missing, or not needed
        problem = (
            f"is encrypted, and {UNLOCKING} is not set" if secret is None else f"is not encrypted: unset {UNLOCKING}"
        )
        raise ConfigError(f"the private key in {file} {problem}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigError(f"{file} holds a private key of another kind than P-256; {_PAIR}")
    return key


def _parsed(file: Path, kind: str, parse: Callable[[bytes], Key]) -> Key:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return parse(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"the {kind} key in {file} cannot be read: {error.strerror or error}") from None
    except (ValueError, UnsupportedAlgorithm):
        # The library's own message may quote what it was given: it is left out of the traceback.
        wrong = f", or {UNLOCKING} is wrong" if kind == "private" else ""
        raise ConfigError(f"{file} holds no {kind} key in PEM{wrong}; {_PAIR}") from None


def _needs_cryptography() -> None:
    if importlib.util.find_spec("cryptography") is None:
        raise MissingExtra("sign", "signing a release, or checking who signed it,")
