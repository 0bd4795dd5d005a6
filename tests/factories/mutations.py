"""What somebody without the private key can do to a signed release, at random."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from typing import TYPE_CHECKING

from recsys.release.layout import DIGEST, HMAC, MANIFEST, SIGNATURE
from recsys.release.manifest import digest_file
from recsys.release.signature import sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.release.keys import SigningKey

Files = dict[str, bytes]


class Mutations:
    """Draws changes of a release; each gives its files as they would be then.

    Parameters
    ----------
    files
        The release.
    other
        Another one with the same key's signature, of other data.
    foreign
        A key that no reader accepts.
    """

    def __init__(self, files: Files, other: Files, foreign: SigningKey, seed: int) -> None:
        self._files, self._other, self._foreign = files, other, foreign
        self._random = random.Random(seed)
        self.kinds: list[Callable[[Files], None]] = [
            self._flip,
            self._flip_signature,
            self._cut_or_lengthen,
            self._swap,
            self._exchange,
            self._remove,
            self._add,
            self._reseal_keeping_the_signature,
            self._reseal_unsigned,
            self._reseal_with_an_hmac,
            self._reseal_with_a_foreign_key,
            self._forge_the_statement,
            self._take_the_parts_of_another,
        ]

    def draw(self) -> tuple[str, Files]:
        """Return the name of a change, and the release after it: another one than before."""
        while True:
            change = self._random.choice(self.kinds)
            files = dict(self._files)
            change(files)
            if files != self._files:
                return change.__name__.lstrip("_"), files

    def _one(self, files: Files) -> str:
        return self._random.choice(sorted(files))

    def _flipped(self, data: bytes) -> bytes:
        place, bit = self._random.randrange(len(data)), self._random.randrange(1, 256)
        return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]

    def _flip(self, files: Files) -> None:
        name = self._one(files)
        files[name] = self._flipped(files[name])

    def _flip_signature(self, files: Files) -> None:
        files[SIGNATURE] = self._flipped(files[SIGNATURE])

    def _cut_or_lengthen(self, files: Files) -> None:
        name = self._one({name: b"" for name in files if name != SIGNATURE})  # a blank at its end is no other signature
        data = files[name]
        files[name] = data[: self._random.randrange(len(data))] if self._random.random() < 0.5 else data + b"\n"

    def _swap(self, files: Files) -> None:
        name = self._one(files)
        files[name] = self._other[name]

    def _exchange(self, files: Files) -> None:
        one, two = self._one(files), self._one(files)
        files[one], files[two] = files[two], files[one]

    def _remove(self, files: Files) -> None:
        del files[self._one(files)]

    def _add(self, files: Files) -> None:
        files[self._random.choice(["more.npz", "manifest.json.bak", ".hidden", HMAC, "model.sig.old"])] = b"{}"

    def _changed(self, files: Files) -> None:
        """Change one file, and seal the folder anew: manifest and digest fit."""
        manifest = json.loads(files[MANIFEST])
        name = self._one(manifest["files"])
        files[name] = self._flipped(files[name])
        manifest["files"][name]["sha256"] = hashlib.sha256(files[name]).hexdigest()
        files[MANIFEST] = json.dumps(manifest).encode()
        files[DIGEST] = digest_file(files[MANIFEST])

    def _reseal_keeping_the_signature(self, files: Files) -> None:
        self._changed(files)

    def _reseal_unsigned(self, files: Files) -> None:
        self._changed(files)
        del files[SIGNATURE]

    def _reseal_with_an_hmac(self, files: Files) -> None:
        self._reseal_unsigned(files)
        manifest = json.loads(files[MANIFEST])
        files[MANIFEST] = json.dumps({**manifest, "minor": 1}).encode()
        files[HMAC] = self._random.randbytes(32).hex().encode() + b"\n"
        files[DIGEST] = digest_file(files[MANIFEST], files[HMAC])

    def _reseal_with_a_foreign_key(self, files: Files) -> None:
        ours = json.loads(files[SIGNATURE])["verificationMaterial"]
        self._changed(files)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != SIGNATURE}
        theirs = json.loads(sign("forged", digests, self._foreign))
        if self._random.random() < 0.5:  # says that it is our key's
            theirs["verificationMaterial"] = ours
        files[SIGNATURE] = json.dumps(theirs).encode()

    def _forge_the_statement(self, files: Files) -> None:
        self._changed(files)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != SIGNATURE}
        bundle, theirs = json.loads(files[SIGNATURE]), json.loads(sign("forged", digests, self._foreign))
        bundle["dsseEnvelope"]["payload"] = theirs["dsseEnvelope"]["payload"]
        if self._random.random() < 0.5:
            bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(self._random.randbytes(70)).decode()
        files[SIGNATURE] = json.dumps(bundle).encode()

    def _take_the_parts_of_another(self, files: Files) -> None:
        """All but one file of the other release, its signature among them."""
        name = self._random.choice(sorted(name for name in files if files[name] != self._other[name]))
        kept = files[name]
        files.clear()
        files.update(self._other | {name: kept})
