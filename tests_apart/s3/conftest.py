"""A server for the session, a bucket and a way to it for each test."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from factories.small_release import Parts, make_parts
from standins.bucket_server import CREDENTIALS, Way, make_bucket, running, way_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield where the server listens."""
    with running(tmp_path_factory.mktemp("server") / "log") as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Return the parts of a small release."""
    return make_parts(tmp_path_factory.mktemp("parts"), games=20)


@pytest.fixture
def way(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Way]:
    """Yield a way to the server, which the environment names."""
    with way_to(server) as way:
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", way.url)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield way


@pytest.fixture
def address(server: str, way: Way) -> str:
    """Return the address of an empty store."""
    name = f"nights-{uuid.uuid4().hex[:12]}"  # a server that somebody named may hold those of an earlier run
    assert way.endpoint == server
    make_bucket(server, name)
    return f"s3://{name}/models"
