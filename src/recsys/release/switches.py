"""Signed switches: what a publisher with a key says of the pointer, so that nobody goes back in secret.

``pointer.json`` lies beside ``v1`` (in an object store it is a part of ``v1.json``). It names the release that is
current, the digest of its manifest, and the number of the switch: one more than that of the switch before, also where
somebody goes back to an older release. A reader that has a public key remembers the highest number that it has seen,
and refuses a lower one. So an old release that is put back, with all its files and signatures whole, is refused by
everybody who has seen a later one; and who has not still sees how long ago it was signed.

Two switches are kept: in a folder the link moves after the file is written, and a reader may look in between.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from pydantic import Field

from recsys.errors import ArtifactCorrupt, ConfigError, ReleaseError
from recsys.release.keys import PUBLIC
from recsys.release.records import Format, Record, read_record

if TYPE_CHECKING:
    from recsys.release.keys import Keys, PublicKeys

POINTER = "pointer.json"
FORMAT = Format(1, 0)
"""The layout of the file, and of what is signed."""
Act: TypeAlias = Literal["published", "rolled back", "kept"]
"""``kept``: a run found nothing new, and signs that the release is still the one."""

_DOMAIN = b"recsys switch 1\n"
"""Put before what is signed: a signature of something else is none of a switch."""
_KEPT = 2


class Switch(Record):
    """What is signed.

    Attributes
    ----------
    store
        What no other store has; made with the first signed switch.
    release, digest
        The release that is current from then on, and the SHA-256 of its manifest, in hex.
    number
        One more than that of the switch before.
    act
        What happened; later versions may know more than :data:`Act`.
    signed_at
        When, in UTC: ``2026-11-27T03:40:00Z``.
    """

    format: int = FORMAT.major
    minor: int = FORMAT.minor
    store: str
    release: str
    digest: str
    number: int = Field(ge=1)
    act: str
    signed_at: str

    @property
    def age_hours(self) -> float:
        """Hours since it was signed, by this machine's clock."""
        return hours_since(self.signed_at)


class SignedSwitch(Record):
    """A switch and its signature: ECDSA with SHA-256 over the curve P-256, in DER and base64; ``key`` names the key."""

    switch: str
    signature: str
    key: str


class Switches(Record):
    """The content of ``pointer.json``: the last switch first, then the one before."""

    format: int = FORMAT.major
    minor: int = FORMAT.minor
    signed: tuple[SignedSwitch, ...]


def hours_since(moment: str) -> float:
    """Return the hours since a moment in ISO 8601, by this machine's clock."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() / 3600


def read_switches(name: str, data: bytes | None, keys: PublicKeys) -> tuple[Switch, ...]:
    """Return the switches of a pointer, each signed with one of the keys; none where there is no such file.

    Parameters
    ----------
    name
        How people find it.
    data
        Its content; None where it is not there.
    keys
        Of which one must have signed it.

    Raises
    ------
    ArtifactCorrupt
        If it cannot be read, or one is not signed with one of the keys.
    IncompatibleArtifact
        If a newer version wrote it.
    """
    return tuple(switch for _, switch in _read(name, data, keys))


def _read(name: str, data: bytes | None, keys: PublicKeys) -> list[tuple[SignedSwitch, Switch]]:
    """Return the switches with their signatures; while a pair is changed, one of an older key is passed over."""
    if data is None:
        return []
    signed = read_record(name, data, Switches, FORMAT).signed
    known = [each for each in signed if keys.find(each.key) is not None]
    if not known:
        hints = ", ".join(f"{each.key[:12]}…" for each in signed) or "nothing"
        raise ArtifactCorrupt(f"{name} is signed with a key that is none of the accepted ones ({hints})")
    return [(each, _opened(name, each, keys)) for each in known]


def _opened(name: str, signed: SignedSwitch, keys: PublicKeys) -> Switch:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    key = keys.find(signed.key)
    assert key is not None
    try:
        signature = base64.b64decode(signed.signature, validate=True)
        key.verify(signature, _DOMAIN + signed.switch.encode(), ECDSA(SHA256()))
    except (binascii.Error, InvalidSignature, ValueError) as error:
        raise ArtifactCorrupt(f"{name}: its signature is wrong") from error
    return read_record(name, signed.switch.encode(), Switch, FORMAT)


class Claim(NamedTuple):
    """What a switch is to say.

    Attributes
    ----------
    release, digest
        What is to be current, and the SHA-256 of its manifest.
    act
        What happens.
    kept
        The release that is current until then: its switch is the one that stays beside this one.
    """

    release: str
    digest: str
    act: Act
    kept: str | None = None


def next_switch(
    name: str,
    data: bytes | None,
    keys: Keys,
    claim: Claim,
    highest: Switch | None = None,
) -> bytes | None:
    """Return the pointer that a switch writes; None where nothing is signed.

    Parameters
    ----------
    name, data
        The pointer that is there; see :func:`read_switches`.
    keys
        Sign the switch, and check the one before.
    claim
        What it says.
    highest
        The highest switch that this machine has seen.

    Raises
    ------
    ConfigError
        If there are public keys and no private one, or the switch before cannot be read with them.
    """
    if keys.signing is None:
        if keys.public is not None:
            raise ConfigError("a public key is named and no private one: a switch that is not signed would be refused")
        return None
    assert keys.public is not None
    try:
        pairs = _read(name, data, keys.public)
    except ReleaseError as error:
        raise ConfigError(
            f"{error}: the next switch has to follow the one before; name its public key too in {PUBLIC} until two are"
            f" signed with the new one, or, if {POINTER} is spoilt, restore it or move it away"
        ) from error
    before = [switch for _, switch in pairs]
    standing = [signed for signed, switch in pairs if switch.release == claim.kept] or [signed for signed, _ in pairs]
    known = [*before, *([] if highest is None else [highest])]
    switch = Switch(
        store=known[0].store if known else secrets.token_hex(16),
        release=claim.release,
        digest=claim.digest,
        number=1 + max((each.number for each in known), default=0),
        act=claim.act,
        signed_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    text = switch.model_dump_json()
    signature = base64.b64encode(keys.signing.sign(_DOMAIN + text.encode())).decode()
    signed = SignedSwitch(switch=text, signature=signature, key=keys.signing.hint)
    switches = Switches(signed=(signed, *standing[: _KEPT - 1]))
    return json.dumps(switches.model_dump(), indent=1).encode() + b"\n"
