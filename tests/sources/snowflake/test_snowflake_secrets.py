"""Canary secrets, searched in logs at debug level, messages, tracebacks and everything written."""

from __future__ import annotations

import base64
import contextlib
import logging
import traceback
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from factories.tables import WordEncoder, write_marts
from recsys import Trainer
from recsys.config import CfSettings, Settings, SnowflakeSettings
from recsys.errors import RecsysError
from recsys.sources import open_source
from recsys.system.log import set_up
from standins.snowflake.canaries import ACCESS_TOKEN, IDENTITY_TOKEN, OAUTH_TOKEN, PASSPHRASE, PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from standins.snowflake.fixtures import Warehouse

pytest_plugins = ["standins.snowflake.fixtures"]

WAYS = {
    "key": {"private_key_raw": "", "private_key_passphrase": PASSPHRASE},
    "access token": {"token": ACCESS_TOKEN},
    "oauth token": {"token": OAUTH_TOKEN, "authenticator": "oauth"},
    "workload identity": {"token": IDENTITY_TOKEN, "workload_identity_provider": "OIDC"},
    "password": {"password": PASSWORD},
}
SETTINGS = SnowflakeSettings(deadline_s=10, login_timeout_s=3, network_timeout_s=1)


def canaries(warehouse: Warehouse) -> list[str]:
    """Return every secret, and telling pieces of the private key in each of its forms."""
    key = load_pem_private_key(warehouse.key.plain.encode(), None)
    der = base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()
    lines = [*warehouse.key.plain.splitlines()[1:-1], *warehouse.key.encrypted.splitlines()[1:-1]]
    return [PASSPHRASE, ACCESS_TOKEN, OAUTH_TOKEN, IDENTITY_TOKEN, PASSWORD, der[200:240], *lines]


def leaks(text: str, secrets: list[str]) -> list[str]:
    """Return the secrets that occur in a text."""
    return [secret for secret in secrets if secret in text]


@pytest.fixture
def marts(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """Return a warehouse with a mart in five chunks that takes workload identities too."""
    monkeypatch.setenv("SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES", "127.0.0.1")
    warehouse.table("MART_GAMES", "SELECT range AS N FROM range(1000)")
    warehouse.service.set(chunks=5)
    return warehouse


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("place", "kind"),
    [(None, ""), ("login", "403"), ("login", "cut"), ("login", "code"), ("query", "code"), ("later", "garbage")],
)
def test_no_secret_is_logged_or_raised(
    way: str, place: str | None, kind: str, marts: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    """With every logger at DEBUG, the connector's own too, and with the whole traceback."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="snowflake")
    given = {**marts.address(), **WAYS[way]}
    if way == "key":
        given["private_key_raw"] = marts.key.encrypted
    if place:
        # A service that quotes what it was sent.
        secret = next(iter(WAYS[way].values())) or "***"
        marts.service.fault(place, kind, code="390100" if place == "login" else "002003", message=f"refused {secret}")
    trace = ""
    try:
        with open_source("snowflake", Settings(snowflake=SETTINGS), given) as source:
            list(source.execute("SELECT N FROM ANALYTICS.MART_GAMES").batches)
    except RecsysError as error:
        trace = "".join(traceback.format_exception(error)) + repr(error)
    assert bool(trace) == bool(place)
    keys = [str(record.__dict__.get("recsys_keys", "")) for record in caplog.records]
    ours = [record for record in caplog.records if record.name.startswith("recsys")]
    assert ours
    assert not leaks(trace, canaries(marts))
    assert not leaks("\n".join(keys), canaries(marts))
    assert not leaks("\n".join(record.getMessage() for record in ours), canaries(marts))
    if kind != "code":  # what a service quotes, the connector's own DEBUG events quote: they are never shown
        assert not leaks(caplog.text, canaries(marts))


def test_the_connectors_events_are_not_shown(marts: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    """``--verbose`` shows our debug events; the connector's quote signed addresses and service texts."""
    root, connector = logging.getLogger(), logging.getLogger("snowflake")
    before = (root.level, root.handlers[:], connector.level)
    try:
        set_up("human", verbose=True)
        marts.service.fault("login", "code", code="390100", message=f"refused {ACCESS_TOKEN}")
        with contextlib.suppress(RecsysError):
            marts.open()
        shown = capsys.readouterr().err
    finally:
        root.setLevel(before[0])
        root.handlers[:] = before[1]
        connector.setLevel(before[2])
    assert "Snowflake failed" in shown
    assert "Snowflake Connector for Python Version" not in shown
    assert "refused ***" in shown
    assert ACCESS_TOKEN not in shown


def test_no_secret_is_written(warehouse: Warehouse, tmp_path: Path) -> None:
    """Manifest, report, factors and every other file of a release are searched byte by byte."""
    folder = write_marts(tmp_path / "marts")
    for mart in ("mart_games", "mart_user_ratings"):
        warehouse.table(mart.upper(), f"SELECT * FROM read_parquet('{folder / mart}.parquet')")
    credentials = {**warehouse.address(), "token": ACCESS_TOKEN}
    output = tmp_path / "models"
    settings = Settings(cf=CfSettings(factors=8, regularization=1.0))  # the default λ is for real tables
    Trainer(credentials, output, source="snowflake", settings=settings, embedding_model=WordEncoder()).run_pipeline()
    files = [path for path in output.rglob("*") if path.is_file()]
    assert len(files) >= 4
    for path in files:
        assert ACCESS_TOKEN.encode() not in path.read_bytes()
