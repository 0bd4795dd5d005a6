"""OpenSSF Model Signing is the judge: its command accepts what we sign, and we accept what its command signs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from factories.signing import Pair, make_pair
from factories.small_release import Parts, make_parts
from recsys.errors import ArtifactCorrupt
from recsys.release.check import check_here
from recsys.release.layout import SIGNATURE
from recsys.release.loading import load_release
from recsys.release.store import ReleaseStore


def model_signing(*arguments: object) -> str:
    """Run the tool's command; return what it said last."""
    command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[-1]


def verified(release: Path, pair: Pair) -> str:
    """Return what ``model_signing verify key`` says of a release, with no other option than it needs."""
    return model_signing("verify", "key", release, "--signature", release / SIGNATURE, "--public_key", pair.public)


def signed(release: Path, pair: Pair, *options: object) -> str:
    """Let ``model_signing sign key`` sign a release."""
    named = ("--signature", release / SIGNATURE, "--private_key", pair.private)
    return model_signing("sign", "key", release, *named, *options)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release."""
    return make_parts(tmp_path_factory.mktemp("parts"), games=20)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Return the publisher's keys."""
    return make_pair(tmp_path / "keys")


@pytest.fixture
def store(tmp_path: Path, parts: Parts, pair: Pair) -> ReleaseStore:
    """Return a store with a signed release."""
    store = ReleaseStore(tmp_path / "models", keys=pair.keys, check=check_here)
    parts.publish(store, "ours")
    return store


def test_the_tool_accepts_what_we_sign(store: ReleaseStore, parts: Parts, pair: Pair, tmp_path: Path) -> None:
    """As it was published, as a copy elsewhere, and after a hold, a rollback and the next release."""
    release = store.path()
    assert verified(release, pair) == "Verification succeeded"
    assert verified(Path(shutil.copytree(release, tmp_path / "copy")), pair) == "Verification succeeded"
    parts.publish(store, "next")
    store.rollback("ours", reason="a test", by="somebody")
    assert verified(release, pair) == "Verification succeeded"
    assert verified(store.path("next"), pair) == "Verification succeeded"


def test_the_tool_refuses_what_was_changed(store: ReleaseStore, pair: Pair, tmp_path: Path) -> None:
    """So that its word is worth something: a changed file, one more, another key."""
    release = store.path()
    assert "Key mismatch" in verified(release, Pair(pair.private, make_pair(tmp_path, "foreign").public))
    (release / "more").write_bytes(b"")
    assert "Extra files found" in verified(release, pair)
    (release / "more").unlink()
    with (release / "metadata.json").open("ab") as file:
        file.write(b" ")
    assert "Hash mismatch" in verified(release, pair)


def test_we_accept_what_the_tool_signs(tmp_path: Path, parts: Parts, pair: Pair) -> None:
    """A release that was published without a key, signed by hand afterwards."""
    store = ReleaseStore(tmp_path / "unsigned", check=check_here)
    parts.publish(store, "unsigned")
    with pytest.raises(ArtifactCorrupt, match="is not signed"):
        load_release(store.path(), keys=pair.readers)
    assert signed(store.path(), pair) == "Signing succeeded"
    assert load_release(store.path(), keys=pair.readers).manifest.release == "unsigned"
    assert verified(store.path(), pair) == "Verification succeeded"


def test_what_the_tool_was_told_to_leave_out_is_refused(store: ReleaseStore, pair: Pair) -> None:
    """Its own command accepts that file whatever it holds."""
    release = store.path()
    assert signed(release, pair, "--ignore-paths", release / "games.parquet") == "Signing succeeded"
    assert verified(release, pair) == "Verification succeeded"
    with pytest.raises(ArtifactCorrupt, match=r"games\.parquet is not what model\.sig signs"):
        load_release(release, keys=pair.readers)
