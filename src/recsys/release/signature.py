"""The signature of a release, as OpenSSF Model Signing writes and checks it: ``model.sig``.

It is a Sigstore bundle: a DSSE envelope around an in-toto statement that names each file of the release, but for
itself, with its SHA-256: https://github.com/sigstore/model-transparency, whose command is ``model_signing``.
What is read here is as strict as a signature should be: each byte counts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recsys.errors import ArtifactCorrupt
from recsys.release.keys import PUBLIC
from recsys.release.layout import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from recsys.release.keys import PublicKeys, SigningKey

_Bundled: TypeAlias = Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]
_Payload: TypeAlias = Literal["application/vnd.in-toto+json"]
_Stated: TypeAlias = Literal["https://in-toto.io/Statement/v1"]
_Predicated: TypeAlias = Literal["https://model_signing/signature/v1.0"]
(_BUNDLE,), (_PAYLOAD,), (_STATEMENT,), (_PREDICATE,) = map(get_args, (_Bundled, _Payload, _Stated, _Predicated))


class _Strict(BaseModel):
    """A part of what stands around the statement: of that nothing is passed over, it is not signed."""

    model_config = ConfigDict(extra="forbid")


class _KeyHint(_Strict):
    hint: str


class _Material(_Strict):
    key: _KeyHint = Field(alias="publicKey")
    log: Annotated[list[str], Field(max_length=0)] = Field(alias="tlogEntries")


class _Signed(_Strict):
    sig: str
    keyid: Literal[""]


class _Envelope(_Strict):
    payload: str
    kind: _Payload = Field(alias="payloadType")
    signatures: Annotated[list[_Signed], Field(min_length=1, max_length=1)]


class _Bundle(_Strict):
    kind: _Bundled = Field(alias="mediaType")
    material: _Material = Field(alias="verificationMaterial")
    envelope: _Envelope = Field(alias="dsseEnvelope")


class _Resource(BaseModel):
    name: str
    algorithm: Literal["sha256"]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Serialization(BaseModel):
    method: Literal["files"]


class _Predicate(BaseModel):
    serialization: _Serialization
    resources: list[_Resource]


class _Root(BaseModel):
    sha256: str


class _Subject(BaseModel):
    digest: _Root


class _Statement(BaseModel):
    kind: _Stated = Field(alias="_type")
    subject: Annotated[list[_Subject], Field(min_length=1, max_length=1)]
    predicate_kind: _Predicated = Field(alias="predicateType")
    predicate: _Predicate


_Model = TypeVar("_Model", bound=BaseModel)


def sign(release: str, digests: Mapping[str, str], key: SigningKey) -> bytes:
    """Return the content of ``model.sig``.

    Parameters
    ----------
    release
        The name of the release.
    digests
        SHA-256 in hex of every file of the release, by name.
    key
        Signs.
    """
    ordered = sorted(digests.items())
    statement = {
        "_type": _STATEMENT,
        "subject": [{"name": release, "digest": {"sha256": _root(digest for _, digest in ordered)}}],
        "predicateType": _PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [SIGNATURE],
            },
            "resources": [{"name": name, "algorithm": "sha256", "digest": digest} for name, digest in ordered],
        },
    }
    payload = json.dumps(statement, separators=(",", ":")).encode()
    bundle = {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": key.hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD,
            "signatures": [{"sig": base64.b64encode(key.sign(_authenticated(payload))).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle, separators=(",", ":")).encode()


def signed_digests(signature: bytes, keys: PublicKeys) -> dict[str, str]:
    """Return the SHA-256 in hex of every file that one of the keys signed, by name.

    Parameters
    ----------
    signature
        The content of ``model.sig``.
    keys
        Of which one must have signed.

    Raises
    ------
    ArtifactCorrupt
        If it is no such signature, is another key's, or is not of what it holds.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    bundle = _read(_Bundle, signature)
    key = keys.find(bundle.material.key.hint)
    if key is None:
        raise ArtifactCorrupt(f"{SIGNATURE} is signed with another key than those in {PUBLIC}")
    payload = _decoded(bundle.envelope.payload)
    try:
        key.verify(_decoded(bundle.envelope.signatures[0].sig), _authenticated(payload), ECDSA(SHA256()))
    except InvalidSignature:
        raise ArtifactCorrupt(f"{SIGNATURE} is not what its key signed") from None
    statement = _read(_Statement, payload)
    resources = statement.predicate.resources
    digests = {each.name: each.digest for each in resources}
    if len(digests) != len(resources) or _root(each.digest for each in resources) != statement.subject[0].digest.sha256:
        raise ArtifactCorrupt(f"{SIGNATURE} contradicts itself")
    return digests


def _authenticated(payload: bytes) -> bytes:
    """Return what is signed: the payload with its kind, as DSSE puts them together."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)


def _root(digests: Iterable[str]) -> str:
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()


def _decoded(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ArtifactCorrupt(f"{SIGNATURE} cannot be read: {error}") from error
    if base64.b64encode(data).decode() != text:  # the last sign has bits that no byte needs
        raise ArtifactCorrupt(f"{SIGNATURE} cannot be read: its base64 is not what an encoder writes")
    return data


def _read(kind: type[_Model], data: bytes) -> _Model:
    try:
        return kind.model_validate_json(data, strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "its top"
        raise ArtifactCorrupt(f"{SIGNATURE} cannot be read: {place}: {fault['msg']}") from None
