"""The installation: what the constraints pin, and what the contracts on imports cover."""

from __future__ import annotations

import ast
import configparser
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split())


def needed(lines: list[str], extras: set[str], seen: set[tuple[str, frozenset[str]]]) -> Iterator[Requirement]:
    """Yield the requirements that ``lines`` bring on this platform, and all that those bring."""
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
            continue
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        if name == "recsys":
            for extra in requirement.extras:
                yield from needed(EXTRAS[extra], set(), seen)
            continue
        yield requirement
        try:
            below = requires(requirement.name) or []
        except PackageNotFoundError:
            below = []
        yield from needed(below, requirement.extras | {""}, seen)


def imported(path: Path) -> set[str]:
    """Return the top-level modules that a file imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in names}


def test_constraints_hold_names_and_exact_versions_alone() -> None:
    """No hash, URL, marker or local build: the lines mean the same on every index."""
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*", line), line


def test_constraints_pin_everything_that_is_installed() -> None:
    """Whatever ``make test`` installs, directly or on the way, has its line, inside the range that pyproject allows."""
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    found = list(needed([*PROJECT["dependencies"], "recsys[dev]"], set(), set()))
    assert len(found) > 50, "the walk over the requirements found next to nothing"
    loose = sorted({str(each) for each in found if canonicalize_name(each.name) not in pins})
    assert not loose, f"not in constraints.txt: {loose}; run make lock"
    wrong = [str(each) for each in found if pins[canonicalize_name(each.name)] not in each.specifier]
    assert not wrong, f"constraints.txt has another version of {wrong}; run make lock"


def test_whatever_the_package_imports_is_declared() -> None:
    """No module relies on what another package happens to bring: the import stands in the core or in an extra."""
    ours = {"recsys", *sys.stdlib_module_names}
    lines = [line for group in [PROJECT["dependencies"], *EXTRAS.values()] for line in group]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    providers = packages_distributions()
    for path in sorted((ROOT / "src").rglob("*.py")):
        for module in imported(path) - ours:
            brought_by = {canonicalize_name(name) for name in providers.get(module, [module])}
            assert brought_by & declared, f"{path.name} imports {module}, which pyproject.toml does not declare"


def test_all_holds_every_extra() -> None:
    """``recsys[all]`` brings each extra for users, so that ``make test`` tests each of them."""
    (line,) = EXTRAS["all"]
    assert Requirement(line).extras == set(EXTRAS) - {"all", "dev"}


def test_the_serving_contract_covers_the_serving_module() -> None:
    """Once there is a serving module, the contract on what it must never reach names it."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    covered = contracts["importlinter:contract:serving"]["source_modules"].split()
    assert ("recsys.serving" in covered) == (find_spec("recsys.serving") is not None)
