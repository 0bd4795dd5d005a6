"""What the signature of a release costs whoever loads it, beside the hashing of its files.

``python benchmarks/signature.py FOLDER [--rounds 20]``: a release of this format, such as ``models/v1``. A copy of it
is signed with a new key; the fastest of the rounds counts, files in the page cache.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from recsys.release.durable import sha256_of
from recsys.release.keys import PublicKeys, SigningKey
from recsys.release.layout import SIGNATURE
from recsys.release.signature import sign
from recsys.release.verify import read_manifest, verify

if TYPE_CHECKING:
    from collections.abc import Callable


def fastest(call: Callable[[], object], rounds: int) -> float:
    """Return the milliseconds of the fastest of some calls."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times) * 1000


def main() -> None:
    """Print one line for each way to read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        release = Path(shutil.copytree(asked.release.resolve(), Path(folder) / "release"))
        (release / SIGNATURE).unlink(missing_ok=True)
        private, public = Path(folder) / "key.pem", Path(folder) / "key.pub"
        key, pem = ec.generate_private_key(ec.SECP256R1()), serialization.Encoding.PEM
        plain = serialization.NoEncryption()
        private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public.write_bytes(key.public_key().public_bytes(pem, form))
        digests = {path.name: sha256_of(path) for path in release.iterdir()}
        (release / SIGNATURE).write_bytes(sign(release.name, digests, SigningKey(private)))
        size = sum(path.stat().st_size for path in release.iterdir())
        keys = PublicKeys([public])
        print(f"{size / 1e6:,.1f} MB in {len(digests) + 1} files; ms")
        for name, read in (("manifest alone", read_manifest), ("every byte", verify)):
            without = fastest(lambda read=read: read(release), asked.rounds)  # type: ignore[misc]
            signed = fastest(lambda read=read: read(release, keys=keys), asked.rounds)  # type: ignore[misc]
            print(f"{name:<15} {without:>8.2f} without a key {signed:>8.2f} with one")


if __name__ == "__main__":
    main()
