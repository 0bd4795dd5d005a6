"""The wheel: it holds the package with its data and nothing else, and works where no checkout is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import require
from factories.old_release import FOLDER as RELEASE

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "recsys"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, without the network."""
    require(find_spec("hatchling"), "the package hatchling", "make test installs it")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True, timeout=300)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs of an environment with the wheel, beside the libraries of the one that tests."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    install = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, text=True, timeout=300)
    scheme = {"base": str(folder), "platbase": str(folder)}
    # A line of a .pth file adds a folder, and reads none of the .pth files there: the checkout stays out of sight.
    own = Path(sysconfig.get_path("purelib", "venv", scheme))
    (own / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return programs


def said(program: Path, *arguments: str, folder: Path) -> str:
    """Run a program far from the checkout, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RECSYS_"))}
    done = subprocess.run(
        [str(program), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(wheel: Path) -> None:
    """Every file of the package, the pages and ``py.typed`` among them; no test, benchmark or page of ``docs``."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert names == {f"recsys/{path.relative_to(SOURCE).as_posix()}" for path in files}
    assert {"recsys/py.typed", "recsys/service/page.html", "recsys/report/templates/page.html.j2"} <= names


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """The licence, the command, and the name under which pip knows it."""
    with zipfile.ZipFile(wheel) as archive:
        about = {name.partition(".dist-info/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
        assert "licenses/LICENSE" in about
        assert "recsys = recsys.cli:main" in archive.read(about["entry_points.txt"]).decode()
        assert "\nName: recsys-releases\n" in archive.read(about["METADATA"]).decode()


def test_the_command_works_where_no_checkout_is(bare: Path, wheel: Path, tmp_path: Path) -> None:
    """It says its version, which is the wheel's, and how it is used."""
    assert said(bare / "recsys", "--version", folder=tmp_path) == f"recsys {wheel.name.split('-')[1]}\n"
    assert "train" in said(bare / "recsys", "--help", folder=tmp_path)


def test_a_release_is_loaded_where_no_checkout_is(bare: Path, tmp_path: Path) -> None:
    """The library that answers is the wheel's; the page that tries a release is found in it."""
    script = (
        "import recsys; from recsys.service.page import PAGE\n"
        f"games = recsys.load({str(RELEASE)!r}).recommend_from([])\n"
        "print(len(games), '</html>' in PAGE.html, recsys.__file__)"
    )
    games, page, file = said(bare / "python", "-c", script, folder=tmp_path).split()
    assert (int(games), page) == (10, "True")
    assert Path(file).is_relative_to(bare.parent)
