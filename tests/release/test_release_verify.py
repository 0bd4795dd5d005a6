"""A release that is not byte for byte what was published is refused before it is parsed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import recsys
from factories.signing import Pair, make_pair
from factories.small_release import Parts, make_parts, npz
from recsys.errors import ArtifactCorrupt, IncompatibleArtifact, ReleaseNotFound
from recsys.release.check import check_here
from recsys.release.layout import DIGEST, MANIFEST, SIGNATURE
from recsys.release.loading import load_release
from recsys.release.manifest import digest_file
from recsys.release.store import ReleaseStore

FLIPS = 200


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release."""
    return make_parts(tmp_path_factory.mktemp("parts"), games=20)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return a pair of keys."""
    return make_pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def release(tmp_path: Path, parts: Parts, pair: Pair) -> Path:
    """Return the folder of a signed release."""
    store = ReleaseStore(tmp_path / "models", keys=pair.keys, check=check_here)
    parts.publish(store, "signed")
    return store.path()


def reseal(folder: Path) -> None:
    """Write manifest and digest anew for what lies in a folder: what an attacker without the key can do."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    for name, facts in manifest["files"].items():
        data = (folder / name).read_bytes()
        facts |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    sealed = json.dumps(manifest).encode()
    (folder / MANIFEST).write_bytes(sealed)
    (folder / SIGNATURE).unlink(missing_ok=True)
    (folder / DIGEST).write_bytes(digest_file(sealed))


def test_every_flipped_bit_is_found(release: Path, pair: Pair) -> None:
    """200 single flips in each file, the manifest's own among them: all are found, also without the key."""
    chooser = random.Random(4711)
    names = sorted(path.name for path in release.iterdir())
    assert {MANIFEST, DIGEST, SIGNATURE, "cf_model.pkl", "rag_index.faiss"} <= set(names)
    for name in names:
        path = release / name
        original = path.read_bytes()
        for number in range(FLIPS):
            flipped = bytearray(original)
            bit = chooser.randrange(len(original) * 8)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            with pytest.raises(ArtifactCorrupt):
                load_release(release, keys=pair.readers if number % 2 or name == SIGNATURE else None)
        path.write_bytes(original)
    load_release(release, keys=pair.readers)


def test_a_truncated_or_longer_file_is_found(release: Path) -> None:
    """Sizes are compared before anything is read."""
    path = release / "cf_factors.npz"
    original = path.read_bytes()
    for data in (b"", original[:-1], original + b"\0"):
        path.write_bytes(data)
        with pytest.raises(ArtifactCorrupt, match=rf"cf_factors.npz has {len(data)} bytes instead of {len(original)}"):
            load_release(release)


def test_a_missing_file_is_named(release: Path, tmp_path: Path, pair: Pair) -> None:
    """Each file in turn, the manifest's own among them."""
    for name in sorted(path.name for path in release.iterdir()):
        copy = tmp_path / f"without-{name}"
        shutil.copytree(release, copy)
        (copy / name).unlink()
        with pytest.raises(ArtifactCorrupt, match=name if name != SIGNATURE else "is not signed"):
            load_release(copy, keys=pair.readers)


@pytest.mark.parametrize("name", ["cf_model.pkl.bak", ".hidden", "index.html"])
def test_an_extra_file_is_named(release: Path, name: str) -> None:
    """What was not published with a release has no place in it."""
    (release / name).write_bytes(b"")
    with pytest.raises(ArtifactCorrupt, match=rf"{name} was not published with this release"):
        load_release(release)


def test_swapped_files_are_found(release: Path) -> None:
    """Two files that changed names hold the right bytes in the wrong place."""
    one, two = release / "cf_factors.npz", release / "interactions.npz"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    with pytest.raises(ArtifactCorrupt, match=r"cf_factors.npz"):
        load_release(release)


def test_files_of_two_releases_do_not_mix(tmp_path: Path, parts: Parts) -> None:
    """Each file of another release, sound by itself, is found out."""
    store = ReleaseStore(tmp_path / "models", check=check_here)
    parts.publish(store, "one")
    make_parts(tmp_path / "parts", seed=1, games=20).publish(store, "two")
    for name in parts.files:
        mixed = tmp_path / f"mixed-{name}"
        shutil.copytree(store.path("one"), mixed)
        shutil.copy(store.path("two") / name, mixed / name)
        if (mixed / name).read_bytes() != (store.path("one") / name).read_bytes():
            with pytest.raises(ArtifactCorrupt, match=name):
                load_release(mixed)


def test_links_pipes_and_folders_are_no_files(release: Path, tmp_path: Path) -> None:
    """A link out of the release is not followed, and a pipe does not hang the loader."""
    path = release / "metadata.json"
    outside = tmp_path / "outside.json"
    path.rename(outside)
    path.symlink_to(outside)
    with pytest.raises(ArtifactCorrupt, match=r"metadata.json"):
        load_release(release)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ArtifactCorrupt, match=r"metadata.json is no plain file"):
        load_release(release)
    path.unlink()
    path.mkdir()
    with pytest.raises(ArtifactCorrupt, match=r"metadata.json"):
        load_release(release)


def test_a_newer_format_is_incompatible(release: Path) -> None:
    """It is not called corrupt: the message says to upgrade."""
    manifest = json.loads((release / MANIFEST).read_bytes()) | {"format": 4, "invention": True}
    (release / MANIFEST).write_bytes(json.dumps(manifest).encode())
    reseal(release)
    with pytest.raises(
        IncompatibleArtifact, match=r"has format 4\.\d; this version reads format 1.0 to 3.x: install a newer"
    ):
        load_release(release)


def test_the_digest_is_what_sha256sum_checks(release: Path) -> None:
    """People can check manifest and signature with the tool that is everywhere."""
    done = subprocess.run(["sha256sum", "--check", "--strict", DIGEST], cwd=release, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_at_the_path_is_not_corruption(tmp_path: Path) -> None:
    """No release, a dangling link and a file are told apart from a damaged release."""
    (tmp_path / "dangling").symlink_to("releases/gone")
    (tmp_path / "file").write_bytes(b"")
    for name in ("nothing", "dangling", "file"):
        with pytest.raises(ReleaseNotFound, match=name):
            load_release(tmp_path / name)


def test_no_pickle_in_an_npz_is_loaded(release: Path, tmp_path: Path) -> None:
    """Even resealed by an attacker, an object array in ``cf_factors.npz`` does not run."""
    marker = tmp_path / "ran"
    (release / "cf_factors.npz").write_bytes(npz(user_factors=np.array([_Touch(marker)], dtype=object)))
    reseal(release)
    with pytest.raises(ArtifactCorrupt, match=r"intact, but .* cannot be read"):
        load_release(release)
    assert not marker.exists()


def test_the_loader_does_not_touch_the_pickle(release: Path, tmp_path: Path) -> None:
    """A hostile ``cf_model.pkl``, resealed by an attacker, is verified and left alone."""
    marker = tmp_path / "ran"
    (release / "cf_model.pkl").write_bytes(pickle.dumps(_Touch(marker), protocol=5))
    reseal(release)
    load_release(release)
    assert not marker.exists()


@pytest.mark.parametrize("cut", ["users", "items", "vectors", "interactions"])
def test_parts_that_do_not_belong_together_are_refused(release: Path, cut: str) -> None:
    """Shapes are compared after the checksums: a resealed mixture is no release either."""
    arrays = dict(np.load(release / "cf_factors.npz"))
    stored = dict(np.load(release / "interactions.npz"))
    metadata = json.loads((release / "metadata.json").read_bytes())
    if cut in {"users", "items"}:
        arrays[f"{cut[:-1]}_factors"] = arrays[f"{cut[:-1]}_factors"][1:]
    elif cut == "vectors":
        metadata["ids"] = metadata["ids"][1:]
    else:
        stored["indices"][0] = 10_000
    (release / "cf_factors.npz").write_bytes(npz(**arrays))
    (release / "interactions.npz").write_bytes(npz(**stored))
    (release / "metadata.json").write_bytes(json.dumps(metadata).encode())
    reseal(release)
    with pytest.raises(ArtifactCorrupt, match=r"do not belong together|beyond the"):
        load_release(release)


def test_other_golden_answers_are_found(tmp_path: Path, parts: Parts) -> None:
    """``verify`` puts the golden queries: right bytes that answer otherwise than in training are refused."""
    store = ReleaseStore(tmp_path / "models", check=lambda *_: None)
    first, *others = parts.facts.golden["content"]
    golden = {**parts.facts.golden, "content": [first.model_copy(update={"games": first.games[::-1]}), *others]}
    replace(parts, facts=replace(parts.facts, golden=golden)).publish(store, "odd")
    with pytest.raises(ArtifactCorrupt, match="neighbours of game 100"):
        store.verify()


def test_loading_needs_the_core_alone(release: Path) -> None:
    """A serving machine has none of what training brings, and settings are not read either."""
    script = (
        "import sys\n"
        "for name in ('pandas', 'scipy', 'implicit', 'torch', 'duckdb', 'snowflake', 'typer', 'rich'):\n"
        "    sys.modules[name] = None\n"
        "from recsys.release.check import check_here; from recsys.release.store import ReleaseStore\n"
        "from pathlib import Path\n"
        f"check_here(Path({str(release)!r})); print(ReleaseStore({str(release.parents[1])!r}).current())"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(recsys.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "signed\n", done.stderr


class _Touch:
    """Pickles as a command that creates a file."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self._marker}",)
