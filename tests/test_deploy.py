"""What ``deploy/`` and ``docs/production.md`` name exists, and every scheduler reads exit codes alike."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

import pytest
import yaml
from typer.main import get_command

from recsys import errors
from recsys.cli import app
from recsys.config import Settings
from recsys.errors import RETRY
from recsys.service.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PAGE = ROOT / "docs" / "production.md"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
CODES = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}


def commands(command: Any, name: str = "") -> dict[str, set[str]]:
    """Return the flags of every command by its name, as typer built them."""
    found = {name: {flag for given in command.params for flag in (*given.opts, *given.secondary_opts)}}
    for sub, member in getattr(command, "commands", {}).items():
        found |= commands(member, f"{name} {sub}".strip())
    return found


COMMANDS = commands(get_command(app))


def settings() -> set[str]:
    """Return the full name of every setting that stands in no table of a user's own name."""
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {
        f"{section}.{key}"
        for section, model in sections.items()
        if get_origin(model) is not dict and model is not None
        for key in model.model_fields
    }


def documents(path: Path) -> list[Any]:
    """Return the documents of a YAML file."""
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]


def within(tree: Any, key: str) -> Iterator[Any]:
    """Yield what stands at a key, anywhere in a document."""
    if isinstance(tree, dict):
        yield from (value for name, value in tree.items() if name == key)
        yield from (found for value in tree.values() for found in within(value, key))
    elif isinstance(tree, list):
        yield from (found for value in tree for found in within(value, key))


def calls(path: Path) -> Iterator[list[str]]:
    """Yield the arguments of every call of ``recsys`` that a file makes or names."""
    text = path.read_text(encoding="utf-8")
    for line in re.findall(r"(?<![\w./-])(?:\S*/bin/)?recsys ([a-z][^`\n|;&)#]*)", text):
        yield line.split()
    if path.suffix in {".yaml", ".yml"}:
        for document in documents(path):
            yield from (argv for key in ("args", "command") for argv in within(document, key) if argv[0] in COMMANDS)
    if path.name == "Dockerfile":
        yield from (ast.literal_eval(line) for line in re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE))
    if path.suffix == ".py":
        lists = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.List)]
        words = [[item.value for item in node.elts if isinstance(item, ast.Constant)] for node in lists]
        yield from ([str(word) for word in argv[1:]] for argv in words if argv[:1] == ["recsys"] and len(argv) > 1)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_command_and_option_that_is_named_exists(path: Path) -> None:
    """A command that was renamed, or an option that is gone, fails here and not at night."""
    for argv in calls(path):
        name = next((name for name in (" ".join(argv[:2]), argv[0]) if name in COMMANDS), None)
        assert name, f"{path.name} names `recsys {' '.join(argv)}`, and there is no such command"
        unknown = {each.partition("=")[0] for each in argv if each.startswith("--")} - COMMANDS[name] - {"--"}
        assert not unknown, f"{path.name}: `recsys {name}` has no option {unknown}"


def test_the_calls_of_every_kind_of_file_are_found() -> None:
    """The walk sees what it is for: text, YAML, Docker's lists, Python's."""
    first = {path.name: [argv[0] for argv in calls(path)] for path in FILES}
    assert "train" in first["Dockerfile"]
    assert "serve" in first["Dockerfile"]
    assert "train" in first["compose.yaml"]
    assert "train" in first["cronjob.yaml"]
    assert "serve" in first["deployment.yaml"]
    assert first["recsys_dag.py"] == ["train", "export"]
    assert "train" in first["recsys-train.service"]


@pytest.mark.parametrize("path", [*FILES, PAGE], ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    """In the environment (``RECSYS_GATE__…``) or by its full name."""
    text, known = path.read_text(encoding="utf-8"), settings()
    sections = "|".join(sorted({name.partition(".")[0] for name in known}))
    named = {f"{section}.{key}".lower() for section, key in re.findall(r"\bRECSYS_([A-Z]+)__([A-Z_]+)", text)}
    named |= set(re.findall(rf"`((?:{sections})\.[a-z_]+)(?:`| =|=)", text))
    named |= set(re.findall(rf"--set ((?:{sections})\.[a-z_]+)=", text))
    assert named <= known, f"{path.name}: no such settings: {named - known}"


def test_the_page_names_every_file_and_every_file_that_it_names_exists() -> None:
    """Paths of the repository in backticks, and links to other pages with their headings."""
    text = PAGE.read_text(encoding="utf-8")
    named = {path.rstrip("/") for path in re.findall(r"`((?:deploy|tests|docs)/[\w./-]*)`", text)}
    assert not [path for path in named if not (ROOT / path).exists()]
    lone = [path for path in FILES if not any((ROOT / name) in (path, *path.parents) for name in named - {"deploy"})]
    assert {path.name for path in lone} == {"Dockerfile.dockerignore"}
    for page, anchor in re.findall(r"\]\(([\w.]*)#?([\w-]*)\)", text):
        target = PAGE.with_name(page or PAGE.name).read_text(encoding="utf-8")
        headings = {
            re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-")
            for line in re.findall(r"^#+ (.+)$", target, re.MULTILINE)
        }
        assert not anchor or anchor in headings, f"{page} has no heading #{anchor}"


def test_the_page_says_what_to_do_about_every_exit_code() -> None:
    """The table has a row for each, and two say that the night is tried once more."""
    rows = re.findall(r"^\| ([\d, ]+) \| .* \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {int(code): "tries once more" in deed for codes, deed in rows for code in codes.split(",")}
    assert CODES | {0, 2, 130, 143} <= set(told)
    assert {code for code, again in told.items() if again} == RETRY


def test_every_scheduler_tries_again_after_the_same_codes() -> None:
    """Airflow, Kubernetes and systemd retry outages and limits of time, and nothing else."""
    dag = ast.parse((DEPLOY / "airflow" / "recsys_dag.py").read_text(encoding="utf-8"))
    (again,) = [
        node.value for node in dag.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "RETRY"
    ]
    assert ast.literal_eval(again) == RETRY
    (job,) = [each for each in documents(DEPLOY / "kubernetes" / "cronjob.yaml") if each["kind"] == "CronJob"]
    (rule,) = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["operator"], frozenset(rule["onExitCodes"]["values"])) == (
        "FailJob",
        "NotIn",
        RETRY,
    )
    unit = (DEPLOY / "systemd" / "recsys-train.service").read_text(encoding="utf-8")
    (prevented,) = re.findall(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)
    assert set(map(int, prevented.split())) >= (CODES | {2, 130, 143}) - RETRY
    assert not RETRY & set(map(int, prevented.split()))


@pytest.mark.parametrize("codes", [(0,), (3,), (65,), (78,), (69, 0), (75, 75), (75, 3)], ids=str)
def test_the_script_tries_once_more_where_that_can_help(tmp_path: Path, codes: tuple[int, ...]) -> None:
    """It passes its arguments on, ends with the last exit code, and never tries a third time."""
    program = tmp_path / "recsys"
    lines = [
        'n=$(cat "$DONE" 2>/dev/null | wc -l)',
        'echo "$@" >> "$DONE"',
        f"set -- {' '.join(map(str, codes))}",
        'shift "$n"',
    ]
    program.write_text("\n".join(["#!/bin/sh", *lines, 'exit "$1"', ""]), encoding="utf-8")
    program.chmod(0o755)
    done = tmp_path / "done"
    environment = {"PATH": f"{tmp_path}:{os.defpath}", "DONE": str(done), "RETRY_AFTER_S": "0"}
    ended = subprocess.run(
        ["bash", str(DEPLOY / "train.sh"), "--source", "sample"],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == codes[-1], ended.stderr
    assert done.read_text(encoding="utf-8").splitlines() == ["train --source sample"] * len(codes)


def test_the_pods_and_containers_are_closed() -> None:
    """No root, no write outside volumes, no rights; nothing of the cluster in the environment; probes as documented."""
    specs = [
        spec
        for path in (DEPLOY / "kubernetes").iterdir()
        for document in documents(path)
        for spec in [*within(document, "spec")]
        if "containers" in spec
    ]
    assert len(specs) == 3
    for spec in specs:
        (container,) = spec["containers"]
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} == set(container["resources"])
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}
    (probed,) = [spec["containers"][0] for spec in specs if "livenessProbe" in spec["containers"][0]]
    assert probed["livenessProbe"]["httpGet"]["path"] == "/live"
    assert probed["readinessProbe"]["httpGet"]["path"] == "/ready"
    services = documents(DEPLOY / "compose.yaml")[0]["services"]
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in services.values())
    assert services["serve"]["ports"] == ["127.0.0.1:8000:8000"]


def test_the_image_installs_what_there_is() -> None:
    """The files that are copied are there and pass the ignore file; the extras are the project's; nobody is root."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    passed = set(re.findall(r"^!(.*)$", (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8"), re.MULTILINE))
    copied = {name for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for name in line.split()}
    assert copied <= passed
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {extra for group in re.findall(r'"\.\[(.*)\]"', text) for extra in group.split(",")}
    assert extras <= set(project["optional-dependencies"])
    assert {*project["license-files"], project["readme"]} <= copied
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n((?:(?!FROM).*\n)*)", text, re.MULTILINE))
    assert all("USER 10001" in stages[target] for target in ("train", "serve"))


def test_the_units_are_sound(tmp_path: Path, needs_tool: Callable[[str], Path]) -> None:
    """The machine takes them, with a program that is there in the place of the one that is not."""
    units = sorted((DEPLOY / "systemd").iterdir())
    for unit in units:
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(text.replace("/opt/recsys/bin/recsys", sys.executable), encoding="utf-8")
    command = [str(needs_tool("systemd-analyze")), "verify", *(str(tmp_path / unit.name) for unit in units)]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    ours = [line for line in verified.stderr.splitlines() if str(tmp_path) in line or "recsys" in line]
    assert (verified.returncode, ours) == (0, [])


def test_the_alerts_are_about_metrics_that_there_are() -> None:
    """Each name in a rule is one that ``/metrics`` has, once a release is served and a request was counted."""
    text = (DEPLOY / "prometheus" / "recsys.rules.yaml").read_text(encoding="utf-8")
    named = {name for rule in within(yaml.safe_load(text), "expr") for name in re.findall(r"\brecsys_\w+", rule)}
    shown = Metrics().text().decode()
    served = {"recsys_release_age_seconds"}  # once there is a release
    plain = {re.sub("_bucket$", "", name) for name in named}
    assert plain - served <= set(re.findall(r"^# TYPE (\w+) ", shown, re.MULTILINE))
    assert served <= set(re.findall(r"`(recsys_\w+)", (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")))


def test_a_night_that_lost_its_cache_is_refused() -> None:
    """The workflow asks for a current release unless it is started by hand as the first."""
    (workflow,) = documents(DEPLOY / "github" / "nightly.yml")
    (asked,) = within(workflow, "RECSYS_GATE__REQUIRE_CURRENT")
    assert asked == "${{ !inputs.first }}"
    paths = [
        step["with"]["path"] for step in workflow["jobs"]["train"]["steps"] if "actions/cache" in step.get("uses", "")
    ]
    assert sorted(paths) == [".cache/recsys", ".cache/recsys", "models", "models"]
