"""What stands in the place of the link to the current release: taken for it, or refused with the way to mend it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import recsys
from factories.restored import NONE_TO_CHOOSE, REFUSED, TAKEN, Case, follow_links, link, text, tree, without_its_release
from factories.signing import Pair, make_pair
from factories.small_release import Parts, make_parts
from recsys.cli import run
from recsys.errors import ArtifactCorrupt, ReleaseError, ReleaseNotFound
from recsys.models.cf import CollaborativeFilter
from recsys.models.content import RAGRecommender
from recsys.release.check import check_here
from recsys.release.loading import load_release
from recsys.release.path import follow
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from factories.restored import Spoil

NOBODY = 65534


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release."""
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return the keys that every release here is signed with."""
    return make_pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def published(parts: Parts, pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with the releases ``a`` and ``b``, of which ``b`` is current, both signed."""
    root = tmp_path_factory.mktemp("published") / "models"
    for name in ("a", "b"):
        parts.publish(ReleaseStore(root, keys=pair.keys, check=check_here), name)
    return root


@pytest.fixture
def models(published: Path, tmp_path: Path) -> Path:
    """Return a copy of it, links as links."""
    return Path(shutil.copytree(published, tmp_path / "models", symlinks=True))


def stored(root: Path) -> ReleaseStore:
    """Return the store in a folder, which checks releases in this process."""
    return ReleaseStore(root, check=check_here)


@pytest.mark.parametrize("case", TAKEN.values(), ids=TAKEN)
def test_what_names_a_release_is_taken_for_the_link(models: Path, case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """Every way to ask has the same answer and one line tells what stands there; nothing is written."""
    case.spoil(models)
    before = tree(models)
    store = stored(models)
    assert store.current() == case.current
    assert [entry.name for entry in store.entries() if entry.current] == [case.current]
    assert store.names() == [
        name for name in ("a", "b") if name == case.current or (models / "releases" / name).exists()
    ]
    assert store.manifest().release == store.verify().release == case.current
    assert load_release(store.path()).manifest.release == case.current
    assert recsys.load(models / "v1").release == case.current
    assert [record.getMessage() for record in caplog.records] == (
        [f"{models}/v1 {case.warning.format(models=models)} current"] if case.warning else []
    )
    assert tree(models) == before


@pytest.mark.parametrize(("spoil", "message"), (REFUSED | NONE_TO_CHOOSE).values(), ids=REFUSED | NONE_TO_CHOOSE)
def test_anything_else_is_refused_everywhere_in_the_same_words(models: Path, spoil: Spoil, message: str) -> None:
    """With the way to mend it; a publisher is stopped before it trains, and nothing is moved."""
    spoil(models)
    before = tree(models) | {"releases": "", ".lock": ""}
    store = stored(models)

    def publish() -> None:
        with store.staging("c"):
            raise AssertionError("a run has begun")

    asked: list[Callable[[], object]] = [
        store.current, store.entries, store.manifest, store.verify, store.path, store.rollback, publish,
        lambda: recsys.load(models / "v1"),
    ]  # fmt: skip
    said = set()
    for ask in asked:
        with pytest.raises(ReleaseError, match=message) as caught:
            ask()
        assert caught.value.exit_code == 76
        said.add(str(caught.value))
    assert len(said) == 1
    assert str(models / "v1") in said.pop()
    left = tree(models) | {"releases": "", ".lock": ""}
    assert left == before


def test_a_link_out_of_the_folder_leads_to_the_current_release(
    models: Path, parts: Parts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is that of somebody else: it is read and compared with, and stays where it is."""
    (models / "releases" / "b").rename(tmp_path / "elsewhere")
    link("../elsewhere")(models)
    store = stored(models)
    assert store.verify().release == "b"
    assert [(entry.name, entry.current) for entry in store.entries()] == [("a", False), ("b", True)]
    assert store.rollback("b", hold=False).release == "b"
    assert os.readlink(models / "v1") == "../elsewhere"  # noqa: PTH115 - the raw text is meant
    assert caplog.messages.count(f"{models}/v1 leads out of {models}/releases: the release there, b, is current") == 1
    manifest = parts.publish(store, "c")
    assert manifest.replaces == "b"
    check_here(tmp_path / "elsewhere")
    assert os.readlink(models / "v1") == "releases/c"  # noqa: PTH115 - the raw text is meant


def test_who_signed_it_is_asked_by_its_readers(models: Path, pair: Pair, tmp_path: Path) -> None:
    """A folder in the link's place is current as behind a link, and loads with its key alone."""
    without_its_release(models)
    theirs, ours = (ReleaseStore(models, keys=each.keys, check=check_here) for each in (make_pair(tmp_path), pair))
    assert theirs.current() == ours.current() == "b"
    with pytest.raises(ArtifactCorrupt, match="signed with another key"):
        theirs.manifest()
    assert recsys.load(models / "v1", public_keys=[pair.public]).release == "b"
    with ours.staging("c"):
        assert ours.verify().release == "b"


def test_a_release_of_a_newer_format_is_named_as_such(store_of: Callable[[str], Path]) -> None:
    """A folder that this version cannot read is not taken for damaged."""
    models = store_of("format")
    with pytest.raises(ReleaseError, match="install a newer recsys"):
        stored(models).current()


def test_a_release_called_like_no_folder_is_refused(store_of: Callable[[str], Path]) -> None:
    """What a manifest says becomes no path that leads elsewhere."""
    models = store_of("release")
    with pytest.raises(ArtifactCorrupt, match=r"damaged release \(its name is '\.\./x'\)"):
        stored(models).current()


@pytest.fixture
def store_of(models: Path) -> Callable[[str], Path]:
    """Return what leaves a folder whose manifest was sealed with another value of one field."""
    from recsys.release.manifest import Manifest, digest_file

    def make(name: str) -> Path:
        follow_links(models)
        manifest = Manifest.from_bytes((models / "v1" / "manifest.json").read_bytes())
        other = manifest.model_copy(update={"format": 99} if name == "format" else {"release": "../x"})
        (models / "v1" / "manifest.json").write_bytes(other.to_bytes())
        (models / "v1" / "manifest.sha256").write_bytes(digest_file(other.to_bytes()))
        return models

    return make


def test_a_restored_folder_may_be_read_only(models: Path) -> None:
    """Whoever reads needs no right to write, and is told the same by a folder that cannot be listed."""
    follow_links(models)
    for path in (models, *models.rglob("*")):
        path.chmod(0o555)
    assert in_a_process_without_rights(models) == "b"
    (models / "v1").chmod(0o000)
    assert "v1 cannot be read (Permission denied), so no release is known" in in_a_process_without_rights(models)
    for path in (models, models / "v1", models / "releases", *(models / "releases").iterdir()):
        path.chmod(0o755)


def in_a_process_without_rights(models: Path) -> str:
    """Return the current release, or why there is none, as a user sees it who owns nothing."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            if not os.getuid():
                os.chdir(models)  # the folders above may be closed to others
                os.setuid(NOBODY)
                models = Path()
            outcome = str(stored(models).current())
        except ReleaseError as error:
            outcome = str(error)
        os.write(writing, outcome.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as answer:
        return answer.read()


def test_models_are_read_where_the_text_leads(models: Path) -> None:
    """The two models' own ``load`` take ``v1`` as it was restored, too."""
    text("releases/b\n")(models)
    assert len(RAGRecommender.load(models / "v1").game_ids) == 40
    assert len(CollaborativeFilter.load(models / "v1").users) == 30
    text("rubbish!")(models)
    for model in (RAGRecommender, CollaborativeFilter):
        with pytest.raises(ReleaseNotFound, match="is a file that names no release"):
            model.load(models / "v1")


def test_a_served_release_is_followed_through_all_of_it(models: Path, parts: Parts) -> None:
    """A text, the link that a publisher makes of it, and the next release; only the last is another one."""
    text("releases/b")(models)
    served = recsys.load(models / "v1")
    assert not served.reload()
    with stored(models).staging("c"):
        assert not served.reload()
    (models / "v1").unlink()
    shutil.copytree(models / "releases" / "b", models / "v1")
    assert not served.reload()
    parts.publish(stored(models), "c")
    assert served.reload()
    assert served.release == "c"
    link("releases/x")(models)
    with pytest.raises(ReleaseNotFound, match="points to releases/x, which is not there"):
        served.reload()
    assert served.release == "c"


def test_a_release_folder_that_is_called_v1_is_its_own(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Below ``releases`` a folder is a release, whatever its name."""
    (models / "releases" / "a").rename(models / "releases" / "v1")
    assert follow(models / "releases" / "v1") == (models / "releases" / "v1").resolve()
    assert load_release(models / "releases" / "v1").manifest.release == "a"
    assert not caplog.records


def test_every_command_says_the_same(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused, with exit code 76 and one line; the list is there to choose from, and so is a release by its name."""
    link("releases/x")(models)
    words = (
        f"recsys: error: {models}/v1 points to releases/x, which is not there, so no release is known to be current:"
    )
    for arguments in (
        ["releases"], ["show", "current"], ["verify"], ["rollback"], ["compare", "a", "current"], ["report"], ["serve"],
        ["similar", "100"], ["search", "trains"], ["recommend", "1"],
    ):  # fmt: skip
        assert run([*arguments, "--models", str(models)]) == 76, arguments
        captured = capsys.readouterr()
        assert captured.err.splitlines()[-1].startswith(words), arguments
        assert bool(captured.out) == (arguments == ["releases"])
    assert run(["releases", "--json", "--models", str(models)]) == 76
    assert capsys.readouterr().out.count("\n") == 1
    for arguments in (["show", "a"], ["verify", "a"], ["compare", "a", "b"], ["recommend", "1", "--release", "a"]):
        assert run([*arguments, "--models", str(models)]) == 0, arguments
    assert run(["rollback", "a", "--models", str(models)]) == 0
    assert "current is now a of" in capsys.readouterr().out


def test_a_command_tells_it_in_one_line_beside_its_answer(models: Path) -> None:
    """On stderr, once, so that stdout is the answer alone."""
    follow_links(models)
    for arguments in (["recommend", "1"], ["releases"], ["verify"]):
        done = subprocess.run(
            [sys.executable, "-m", "recsys", *arguments, "--json", "--models", str(models)],
            capture_output=True,
            text=True,
            check=True,
        )
        json.loads(done.stdout)
        assert done.stderr.count("\n") == 1, done.stderr
        assert "v1 is a folder and no link: the release in it, a copy of" in done.stderr
