"""Who signed a release: a pair of keys says so, two of them while it is changed; nothing else is accepted."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import recsys
from factories.mutations import Mutations
from factories.signing import Pair, make_pair
from factories.small_release import Parts, make_parts
from recsys.errors import ArtifactCorrupt, ConfigError, ReleaseError
from recsys.release.check import check_here
from recsys.release.keys import GONE, PUBLIC, SIGNING, UNLOCKING, Keys, PublicKeys, SigningKey
from recsys.release.layout import DIGEST, HMAC, MANIFEST, SIGNATURE
from recsys.release.loading import load_release
from recsys.release.manifest import FORMAT, digest_file
from recsys.release.signature import sign, signed_digests
from recsys.release.store import ReleaseStore
from recsys.release.verify import read_manifest, verify

MUTATIONS = 10_000 if os.environ.get("RECSYS_FAULTS") == "all" else 400


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release."""
    return make_parts(tmp_path_factory.mktemp("parts"), games=20)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return the keys of the publisher."""
    return make_pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return the keys of somebody else."""
    return make_pair(tmp_path_factory.mktemp("foreign"))


@pytest.fixture
def release(tmp_path: Path, parts: Parts, pair: Pair) -> Path:
    """Return the folder of a signed release."""
    store = ReleaseStore(tmp_path / "models", keys=pair.keys, check=check_here)
    parts.publish(store, "signed")
    return store.path()


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def as_an_older_version_left_it(release: Path) -> None:
    """Put an HMAC in the place of the signature, as until format 3.1."""
    (release / SIGNATURE).unlink()
    manifest = (release / MANIFEST).read_bytes().replace(b'"minor": %d' % FORMAT.minor, b'"minor": 1')
    (release / MANIFEST).write_bytes(manifest)
    (release / HMAC).write_bytes(b"0" * 64 + b"\n")
    (release / DIGEST).write_bytes(digest_file(manifest, b"0" * 64 + b"\n"))


def test_every_file_is_signed(release: Path, pair: Pair) -> None:
    """The manifest and its digest too: all but the signature itself."""
    signed = signed_digests((release / SIGNATURE).read_bytes(), pair.readers)
    held = {name: hashlib.sha256(data).hexdigest() for name, data in contents(release).items() if name != SIGNATURE}
    assert signed == held
    assert {MANIFEST, DIGEST} <= set(signed)


def test_what_was_not_signed_by_an_accepted_key_is_refused(release: Path, pair: Pair, foreign: Pair) -> None:
    """By whole loads and by reads of the manifest alike; without a key nobody is asked."""
    assert load_release(release, keys=pair.readers).manifest.release == "signed"
    for read in (verify, read_manifest, load_release):
        with pytest.raises(ArtifactCorrupt, match="signed with another key than those in RECSYS_PUBLIC_KEY_FILES"):
            read(release, keys=foreign.readers)
    (release / SIGNATURE).unlink()
    load_release(release)
    with pytest.raises(ArtifactCorrupt, match=r"is not signed, and RECSYS_PUBLIC_KEY_FILES is set.*publish again"):
        load_release(release, keys=pair.readers)


def test_two_keys_are_accepted_while_the_pair_is_changed(
    release: Path, pair: Pair, foreign: Pair, parts: Parts
) -> None:
    """Readers know both before the publisher takes the new one; then the old one goes."""
    both = PublicKeys([pair.public, foreign.public])
    load_release(release, keys=both)
    store = ReleaseStore(release.parents[1], keys=Keys(both, SigningKey(foreign.private)), check=check_here)
    parts.publish(store, "next")
    assert recsys.load(store.path(), public_keys=[pair.public, foreign.public]).release == "next"
    with pytest.raises(ArtifactCorrupt, match="another key"):
        recsys.load(store.path(), public_keys=[pair.public])


def test_a_release_with_the_old_hmac_is_read_without_a_key_alone(release: Path, pair: Pair) -> None:
    """With a public key the message says why it is refused, and both ways on."""
    as_an_older_version_left_it(release)
    load_release(release)
    with pytest.raises(ArtifactCorrupt, match=r"HMAC of an older version.*publish again with.*model_signing sign key"):
        load_release(release, keys=pair.readers)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents(release).items()}
    (release / SIGNATURE).write_bytes(sign("signed", digests, SigningKey(pair.private)))
    load_release(release, keys=pair.readers)


def test_no_release_of_this_format_has_an_hmac(release: Path) -> None:
    """It is a file too many."""
    (release / HMAC).write_bytes(b"0" * 64 + b"\n")
    (release / DIGEST).write_bytes(digest_file((release / MANIFEST).read_bytes(), b"0" * 64 + b"\n"))
    with pytest.raises(ArtifactCorrupt, match=r"manifest\.hmac was not published"):
        verify(release)


def test_a_signature_of_some_of_the_files_is_refused(release: Path, pair: Pair) -> None:
    """Also where what it leaves out is as it was published; and one that names a file too many."""
    digests = signed_digests((release / SIGNATURE).read_bytes(), pair.readers)
    key = SigningKey(pair.private)
    for name in digests:
        fewer = {other: digest for other, digest in digests.items() if other != name}
        (release / SIGNATURE).write_bytes(sign("signed", fewer, key))
        with pytest.raises(ArtifactCorrupt, match=f"{name} is not what model.sig signs"):
            read_manifest(release, pair.readers)
    (release / SIGNATURE).write_bytes(sign("signed", digests | {"gone.npz": "0" * 64}, key))
    with pytest.raises(ArtifactCorrupt, match=r"gone\.npz is not what model.sig signs"):
        read_manifest(release, pair.readers)


def test_keys_come_from_the_environment(
    tmp_path: Path, parts: Parts, pair: Pair, foreign: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publisher, fresh process and reader find them there; who reads needs no private one."""
    locked = make_pair(tmp_path / "locked", passphrase="a passphrase")
    monkeypatch.setenv(SIGNING, str(locked.private))
    monkeypatch.setenv(UNLOCKING, "a passphrase")
    monkeypatch.setenv(PUBLIC, f"{pair.public}{os.pathsep}{locked.public}")
    store = ReleaseStore(tmp_path / "models")
    parts.publish(store, "signed")
    monkeypatch.delenv(SIGNING)
    load_release(store.path())
    monkeypatch.setenv(PUBLIC, str(foreign.public))
    with pytest.raises(ArtifactCorrupt, match="another key"):
        load_release(store.path())


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({SIGNING: "ours.pem"}, "RECSYS_SIGNING_KEY_FILE is set and RECSYS_PUBLIC_KEY_FILES is not"),
        ({PUBLIC: "ours.pub"}, "RECSYS_PUBLIC_KEY_FILES is set and RECSYS_SIGNING_KEY_FILE is not"),
        ({SIGNING: "ours.pem", PUBLIC: "theirs.pub"}, "belongs to none of those in"),
        ({SIGNING: "locked.pem", PUBLIC: "locked.pub"}, "is encrypted, and RECSYS_SIGNING_KEY_PASSPHRASE is not set"),
        ({SIGNING: "locked.pem", PUBLIC: "locked.pub", UNLOCKING: "canary"}, "RECSYS_SIGNING_KEY_PASSPHRASE is wrong"),
        ({SIGNING: "ours.pem", PUBLIC: "ours.pub", UNLOCKING: "canary"}, "is not encrypted: unset"),
        ({SIGNING: "gone.pem", PUBLIC: "ours.pub"}, r"private key in .*gone\.pem cannot be read: No such file"),
        ({SIGNING: "ours.pub", PUBLIC: "ours.pub"}, "holds no private key in PEM"),
        ({SIGNING: "wide.pem", PUBLIC: "ours.pub"}, "holds a private key of another kind than P-256"),
        ({PUBLIC: "ours.pem"}, "holds no public key in PEM"),
        ({PUBLIC: "wide.pub"}, "holds a public key of another kind than P-256"),
        ({PUBLIC: ":"}, "no public key is named"),
        ({GONE: "canary"}, "RECSYS_SIGNING_KEY is set, and no longer read.*RECSYS_PUBLIC_KEY_FILES.*openssl"),
    ],
)
def test_keys_that_do_not_fit_end_a_run_before_it_begins(
    environ: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each mistake has its message; none shows a secret, and nothing was written."""
    make_pair(tmp_path, "ours"), make_pair(tmp_path, "theirs"), make_pair(tmp_path, "locked", "right")
    make_pair(tmp_path, "wide", curve=ec.SECP384R1)
    monkeypatch.chdir(tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=words) as caught, ReleaseStore(tmp_path / "models").staging("run"):
        pass
    assert "canary" not in str(caught.value)
    assert not (tmp_path / "models").exists()


def test_without_its_extra_a_key_is_refused_and_all_else_works(release: Path, pair: Pair) -> None:
    """What is named is the extra; a release loads without a key as ever."""
    script = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'cryptography' else find(name, *more)\n"
        "sys.modules['cryptography'] = None\n"
        "import recsys\n"
        f"print(recsys.load({str(release)!r}).release)\n"
        f"recsys.load({str(release)!r}, public_keys=[{str(pair.public)!r}])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(recsys.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "signed\n", done.stderr
    assert "needs the extra 'sign'" in done.stderr.splitlines()[-1]


def test_each_file_is_read_once(release: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature asks for no second digest of any."""
    from recsys.release import seal as seal_module
    from recsys.release import verify as verify_module

    opened: Counter[str] = Counter()
    for module in (seal_module, verify_module):
        plain = module.open_plain

        def counted(path: Path, plain: object = plain) -> object:
            opened[path.name] += 1
            return plain(path)  # type: ignore[operator]

        monkeypatch.setattr(module, "open_plain", counted)
    load_release(release, keys=pair.readers)
    assert set(opened) == set(contents(release))
    assert set(opened.values()) == {1}


def test_nothing_that_was_changed_is_accepted(
    release: Path, pair: Pair, foreign: Pair, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Flips, cuts, files of another release, more, fewer, unsigned, an HMAC, foreign keys, forged statements."""
    store = ReleaseStore(tmp_path / "others", keys=pair.keys, check=check_here)
    make_parts(tmp_path_factory.mktemp("other"), seed=8, games=20).publish(store, "other")
    files = contents(release)
    mutations = Mutations(files, contents(store.path()), SigningKey(foreign.private), seed=4711)
    tried: Counter[str] = Counter()
    accepted = []
    for _ in range(MUTATIONS):
        kind, mutated = mutations.draw()
        for name in files.keys() | mutated.keys():
            if name not in mutated:
                (release / name).unlink()
            elif mutated[name] != files.get(name):
                (release / name).write_bytes(mutated[name])
        try:
            verify(release, keys=pair.readers)
        except ReleaseError:
            tried[kind] += 1
        else:
            accepted.append(kind)
        for name in mutated.keys() - files.keys():
            (release / name).unlink()
        for name in files:
            if mutated.get(name) != files[name]:
                (release / name).write_bytes(files[name])
    assert accepted == []
    assert len(tried) == len(mutations.kinds)
    verify(release, keys=pair.readers)


def test_processes_that_read_know_no_private_key(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check before publishing, and what loads for a server: they are told of the public keys alone."""
    from recsys.release import check
    from recsys.serving import apart

    for name in (SIGNING, UNLOCKING, "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SNOWFLAKE_PASSWORD"):
        monkeypatch.setenv(name, "canary")
    for module in (check, apart):
        environment = module._environment(pair.readers)
        assert "canary" not in environment.values()
        assert environment[PUBLIC] == str(pair.public)


def test_the_threat_model_names_tests_that_are_there() -> None:
    """Each line has one, or says that it is not covered."""
    root = Path(__file__).parents[2]
    rows = [line for line in (root / "SECURITY.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    attempts = [row for row in rows if not row.startswith(("| attempt |", "| --- |"))]
    assert len(attempts) > 10
    tests = "".join(path.read_text(encoding="utf-8") for path in root.glob("tests*/**/test_*.py"))
    for row in attempts:
        shown = row.rstrip(" |").rpartition("|")[2]
        named = re.findall(r"`(test_\w+)`", shown)
        assert named or shown.strip() == "not covered", row
        assert all(f"def {name}(" in tests for name in named), row


def test_nothing_that_changes_after_publishing_lies_in_a_release(release: Path, pair: Pair, parts: Parts) -> None:
    """A hold, a rollback and the next release leave its files as they were."""
    before = contents(release)
    store = ReleaseStore(release.parents[1], keys=pair.keys, check=check_here)
    parts.publish(store, "next")
    store.rollback("signed", reason="a test", by="somebody")
    assert store.holds.current() is not None
    assert contents(release) == before
    shutil.copytree(release, release.parents[2] / "elsewhere")
    assert json.loads(before[MANIFEST])["minor"] == FORMAT.minor
    verify(release.parents[2] / "elsewhere", keys=pair.readers)


def test_a_path_that_the_variable_cannot_hold_is_refused(tmp_path: Path) -> None:
    """Another process would look for two files."""
    with pytest.raises(ConfigError, match="has a ':' in its path"):
        PublicKeys([make_pair(tmp_path / "a:b").public])
