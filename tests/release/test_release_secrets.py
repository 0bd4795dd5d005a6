"""No secret of the environment reaches a log, a traceback, a manifest or any file of a release."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from factories.signing import make_pair
from factories.tables import RECIPE, write_marts

if TYPE_CHECKING:
    from pathlib import Path

CANARIES = {
    "SNOWFLAKE_PASSWORD": "canary-password-1d0c",
    "SNOWFLAKE_TOKEN": "canary-token-2e1b",
    "SNOWFLAKE_PRIVATE_KEY_RAW": "canary-private-key-3f2a",
    "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "canary-passphrase-4a39",
    "RECSYS_SIGNING_KEY_PASSPHRASE": "canary-passphrase-5b48",
}


def recsys(folder: Path, *arguments: str, **environ: str) -> tuple[int, str]:
    """Run a command with the canaries around it; return its exit code, and all that it said."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNOWFLAKE_", "RECSYS_"))}
    done = subprocess.run(
        [sys.executable, "-m", "recsys", *arguments, "-v"],
        cwd=folder,
        env={**clean, **CANARIES, **environ},
        text=True,
        capture_output=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return everything that successes, failures and tracebacks said and left, by what was done."""
    folder = tmp_path_factory.mktemp("secrets")
    write_marts(folder / "marts")
    (folder / "file").write_bytes(b"")
    pair, other = (make_pair(folder, name, CANARIES["RECSYS_SIGNING_KEY_PASSPHRASE"]) for name in ("ours", "theirs"))
    signed = {"RECSYS_SIGNING_KEY_FILE": str(pair.private), "RECSYS_PUBLIC_KEY_FILES": str(pair.public)}
    quick = [part for key, value in RECIPE.items() for part in ("--set", f"cf.{key}={value}")]
    train = ["train", "--source", "marts", *quick]
    runs: dict[str, tuple[int, list[str], dict[str, str]]] = {
        "published": (0, train, {}),
        "nothing new": (0, [*train, "--log-format", "json", "--json"], {}),
        "shown": (0, ["show", "current", "--json"], {}),
        "listed": (0, ["releases", "--json"], {}),
        "verified": (0, ["verify"], {}),
        "wrong key": (76, ["verify"], {"RECSYS_PUBLIC_KEY_FILES": str(other.public)}),
        "the HMAC's key": (78, ["verify"], {"RECSYS_SIGNING_KEY": "canary-signing-key-6c57"}),
        "wrong passphrase": (78, train, {"RECSYS_SIGNING_KEY_PASSPHRASE": "canary-wrong"}),
        "no private key": (78, train, {"RECSYS_SIGNING_KEY_FILE": str(pair.public)}),
        "no rollback": (76, ["rollback"], {}),
        "output is a file": (73, [*train, "--output", "file"], {}),
    }
    texts = {}
    for name, (code, arguments, environ) in runs.items():
        ended, texts[name] = recsys(folder, *arguments, **{**signed, **environ})
        assert ended == code, f"{name}: {texts[name]}"
    for path in (folder / "models").rglob("*"):
        if path.is_file():
            texts[str(path.relative_to(folder))] = path.read_bytes().decode("latin-1")
    return texts


def test_no_canary_is_heard(said: dict[str, str]) -> None:
    """0 hits in logs at debug level, JSON, tracebacks, manifests and every other file."""
    assert any(name.endswith("manifest.json") for name in said)
    assert any(name.endswith("model.sig") for name in said), "the key was not used: nothing was tried"
    assert "Traceback" in said["wrong key"]
    assert "Traceback" in said["output is a file"]
    assert "Traceback" in said["wrong passphrase"]
    hits = [(name, variable) for name, text in said.items() for variable, value in CANARIES.items() if value in text]
    assert hits == []
    assert all("canary" not in text for text in said.values())
