"""Ways in which a folder of releases is restored without its link, and what each is said to be."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Spoil = Callable[[Path], object]


def follow_links(models: Path) -> None:
    """Make of the link what a copy that follows links makes of it."""
    target = (models / "v1").resolve()
    (models / "v1").unlink()
    shutil.copytree(target, models / "v1")


def alone(models: Path) -> None:
    """Leave the folder ``v1`` and nothing else."""
    follow_links(models)
    shutil.rmtree(models / "releases")
    (models / ".lock").unlink()


def without_its_release(models: Path) -> None:
    """Leave ``v1`` as a folder, and beside it the other release."""
    follow_links(models)
    shutil.rmtree(models / "releases" / "b")


def half_of_it(models: Path) -> None:
    """Leave ``v1`` as a folder whose release is damaged, and sound beside it."""
    follow_links(models)
    (models / "v1" / "hybrid.npz").write_bytes(b"cut")


def text(content: str | bytes) -> Spoil:
    """Return what puts a text in the link's place."""

    def put(models: Path) -> None:
        (models / "v1").unlink()
        (models / "v1").write_bytes(content if isinstance(content, bytes) else content.encode())

    return put


def link(target: str) -> Spoil:
    """Return what points the link elsewhere; ``{models}`` in the target is the folder itself."""

    def point(models: Path) -> None:
        (models / "v1").unlink()
        (models / "v1").symlink_to(target.format(models=models))

    return point


def through_another_link(models: Path) -> None:
    """Point the link to a link."""
    link("newest")(models)
    (models / "newest").symlink_to("releases/b")


def only(models: Path) -> None:
    """Leave one release and no link, as where links are left out."""
    (models / "v1").unlink()
    shutil.rmtree(models / "releases" / "a")


def only_and_parts(models: Path) -> None:
    """Leave one release, and parts of another in the link's place."""
    only(models)
    folder(models, "cf_model.pkl", "cf_mappings.json.partial")


def unfinished(models: Path) -> None:
    """Leave what a publisher leaves that is killed between moving a folder away and making the link."""
    (models / "v1").rename(models / ".v1.partial")


def folder(models: Path, *names: str) -> None:
    """Put a folder with some files in the link's place."""
    (models / "v1").unlink(missing_ok=True)
    (models / "v1").mkdir()
    for name in names:
        (models / "v1" / name).write_bytes(b"mine")


@dataclass(frozen=True)
class Case:
    """A way to restore a folder of releases that leaves no link, and what is said of it."""

    spoil: Spoil
    warning: str = ""
    current: str = "b"


TAKEN = {
    "a link": Case(lambda _: None),
    "an absolute link": Case(link("{models}/releases/b")),
    "a link to a link": Case(through_another_link),
    "a copy": Case(follow_links, "is a folder and no link: the release in it, a copy of {models}/releases/b, is"),
    "a folder, its release gone": Case(without_its_release, "is a folder and no link: the release in it, b, is"),
    "a folder alone": Case(alone, "is a folder and no link: the release in it, b, is"),
    "a text": Case(text("releases/b"), "is a text and no link: the release that it names, b, is"),
    "a text of Windows": Case(text("\ufeffreleases\\b\r\n"), "is a text and no link: the release that it names, b, is"),
    "a name": Case(text("a\n"), "is a text and no link: the release that it names, a, is", "a"),
    "a path": Case(text("./releases/a/"), "is a text and no link: the release that it names, a, is", "a"),
    "nothing": Case(only, "is no link to a release: the only one that there is, b, is"),
    "parts": Case(only_and_parts, "is no link to a release: the only one that there is, b, is"),
    "a link in the making": Case(unfinished, "was not there while it was pointed to b: that is"),
}


def emptied(models: Path) -> None:
    """Put an empty folder in the link's place, and leave no release."""
    folder(models)
    shutil.rmtree(models / "releases")


def another_of_that_name(models: Path) -> None:
    """Leave a folder, and beside it another release under its name."""
    without_its_release(models)
    shutil.copytree(models / "releases" / "a", models / "releases" / "b")


def half_restored(models: Path) -> None:
    """Leave a folder, and beside it its release without a manifest."""
    follow_links(models)
    (models / "releases" / "b" / "manifest.json").unlink()


def changed(name: str) -> Spoil:
    """Return what leaves a folder with a file of the seal cut."""

    def change(models: Path) -> None:
        follow_links(models)
        (models / "v1" / name).write_bytes((models / "v1" / name).read_bytes()[:-2])

    return change


def without(*names: str) -> Spoil:
    """Return what leaves a folder that lacks some files."""

    def take(models: Path) -> None:
        follow_links(models)
        for name in names:
            (models / "v1" / name).unlink()

    return take


def piped(models: Path) -> None:
    """Put a named pipe in the link's place."""
    (models / "v1").unlink()
    os.mkfifo(models / "v1")


def only_damaged(models: Path) -> None:
    """Leave no link, and one release without a manifest."""
    only(models)
    (models / "releases" / "b" / "manifest.json").unlink()


REFUSED = {
    "nothing": (lambda models: (models / "v1").unlink(), "is not there, so"),
    "a link to nothing": (
        link("releases/x"),
        "points to releases/x, which is not there, so .*: restore that release, or",
    ),
    "a link to itself": (link("v1"), "points to v1, which leads nowhere, so"),
    "a link to a file": (link(".lock"), "points to .lock, which is no release, so"),
    "a link to no release": (link("releases"), "points to releases, which is no release, so"),
    "a text of nothing": (text("releases/x"), "is a text that names releases/x, which is not there, so"),
    "a text that leads out": (text("../models/a"), r"is a text that names \.\./models/a, which is not there, so"),
    "an empty file": (text(""), "is a file that names no release .it begins with ''., so"),
    "a file": (text(b"\x00\xff\n"), "is a file that names no release .it begins with '.x00.*, so"),
    "a long file": (text("a" * 5000), "is a file that names no release .it begins with 'aaaaaaaaaaaaaaaaaaaa'., so"),
    "a pipe": (piped, "is neither a link nor a folder nor a file, so"),
    "an empty folder": (folder, "is an empty folder, so"),
    "other things": (
        lambda models: folder(models, "1", "2", "3", "4", "cf_model.pkl"),
        "is a folder without manifest.json that holds 1, 2, 3 and 1 more, so",
    ),
    "parts": (lambda models: folder(models, "metadata.json"), "is a folder that holds parts of a release, so"),
    "no manifest": (
        without("manifest.json"),
        "without manifest.json that holds games.parquet, manifest.sha256, model.sig",
    ),
    "no digest": (
        without("manifest.sha256"),
        r"is a folder with a damaged release \(.*manifest.sha256 cannot be read: ",
    ),
    "a cut manifest": (
        changed("manifest.json"),
        r"is a folder with a damaged release \(.*is not what was published\), so",
    ),
    "another release": (
        another_of_that_name,
        "is a folder with the release b, which differs from .*/releases/b, so .*: remove the wrong one, or",
    ),
}


NONE_TO_CHOOSE = {
    "half a release": (half_restored, r"which differs from .*/releases/b, so .*rollback NAME` \(there are a\)"),
    "nothing at all": (emptied, "is an empty folder, so .*: restore the link, or move .*/v1 away to begin anew"),
    "a damaged one": (
        only_damaged,
        "is not there, and .*/releases/b has no manifest.json, so .* or move .*/releases away to begin anew",
    ),
}


def tree(root: Path) -> dict[str, str]:
    """Return all that a folder holds, links by their text."""
    return {
        str(path.relative_to(root)): str(path.readlink())
        if path.is_symlink()
        else "file"
        if path.is_file()
        else "folder"
        for path in root.rglob("*")
    }
