"""The few requests that are made of an object store, and what their failures mean."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from recsys.errors import ConfigError, MissingExtra, StoreError, StoreRefused
from recsys.release.pointer import LINK
from recsys.release.secrets import secret_values
from recsys.release.shelf import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from obstore.store import S3Store

_ADDRESS = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^?#]*))?")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_USER = re.compile(r"//[^/@\s]+@")
"""User and password in an address."""
_PART = 16 << 20
"""Bytes: larger files go up in parts of this size."""
_AT_ONCE = 4
"""Parts of one file that are under way at once."""
_RETRIES = 5
_PATIENCE = timedelta(seconds=60)
"""After a failure, a request is tried again for so long."""


class Seen(NamedTuple):
    """An object as it was read.

    Attributes
    ----------
    data
        Its content.
    etag
        What it is called in a condition; another content has another one.
    modified
        When it was written, by the store's clock.
    """

    data: bytes
    etag: str
    modified: datetime


class Bucket:
    """A prefix of a bucket.

    Parameters
    ----------
    address
        ``s3://bucket/prefix``.
    retries
        How often a request is tried again that the store failed at.

    Raises
    ------
    ConfigError
        If that is no such address.
    MissingExtra
        If the extra ``s3`` is not installed.
    """

    def __init__(self, address: str, *, retries: int = _RETRIES) -> None:
        match = _ADDRESS.fullmatch(address.rstrip("/"))
        if match is None:
            raise ConfigError(f"{address!r} is no address of a bucket: write s3://BUCKET or s3://BUCKET/FOLDER")
        parts = (match["prefix"] or "").split("/")
        if RELEASES in parts or parts[-1] == LINK or {".", ".."} & {*parts}:
            raise ConfigError(
                f"{address!r} lies within a store: the address of a store has no folder {RELEASES}, and does not end"
                f" with {LINK}"
            )
        self.address = address.rstrip("/")
        self.name = match["bucket"]
        self.endpoint = _endpoint()
        self._store = _opened(self.name, match["prefix"] or "", self.endpoint, retries)

    def read(self, path: str) -> Seen | None:
        """Return an object; None where there is none.

        Raises
        ------
        StoreError
            If it cannot be read.
        """
        import obstore

        with self._asking(f"read {path}"):
            try:
                found = obstore.get(self._store, path)
                return Seen(bytes(found.bytes()), found.meta["e_tag"] or "", found.meta["last_modified"])
            except FileNotFoundError as error:
                self._require_bucket(error)
        return None

    def stream(self, path: str) -> Iterator[memoryview]:
        """Yield an object in pieces.

        Raises
        ------
        FileNotFoundError
            If there is none.
        StoreError
            If it cannot be read.
        """
        import obstore

        with self._asking(f"read {path}", may_miss=True):
            for piece in obstore.get(self._store, path).stream(min_chunk_size=1 << 20):
                yield memoryview(piece)

    def create(self, path: str, data: bytes) -> bool:
        """Write an object where there is none, and say whether that was so.

        Raises
        ------
        StoreError
            If that cannot be said: it may have been written.
        """
        return self._put_if(path, data, "create")

    def swap(self, path: str, data: bytes, etag: str) -> bool:
        """Replace an object that still is the one that ``etag`` calls, and say whether it was; see :meth:`create`."""
        return self._put_if(path, data, {"e_tag": etag})

    def _put_if(self, path: str, data: bytes, mode: Any) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._asking(f"write {path}"):
            try:
                obstore.put(self._store, path, data, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
            except FileNotFoundError as error:  # a condition on an object that is gone
                self._require_bucket(error)
                return False
        return True

    def put_file(self, path: str, file: Path) -> None:
        """Write a file, in parts where it is large.

        Raises
        ------
        StoreError
            If it cannot be written.
        """
        import obstore

        large = file.stat().st_size > _PART
        with self._asking(f"write {path}"):
            obstore.put(self._store, path, file, use_multipart=large, chunk_size=_PART, max_concurrency=_AT_ONCE)

    def folders(self, path: str) -> list[str]:
        """Return the names that stand below a path with more below them."""
        import obstore

        with self._asking(f"list {path}"):
            found = obstore.list_with_delimiter(self._store, path)
        return sorted(prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"])

    def names(self, path: str) -> list[str]:
        """Return the names of the objects right below a path."""
        import obstore

        with self._asking(f"list {path}"):
            found = obstore.list_with_delimiter(self._store, path)
        return sorted(meta["path"].rpartition("/")[2] for meta in found["objects"])

    def delete(self, path: str) -> None:
        """Remove an object; one that is gone already is fine.

        Raises
        ------
        StoreError
            If it cannot be removed.
        """
        import obstore

        with self._asking(f"remove {path}"):
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError as error:
                self._require_bucket(error)

    def _require_bucket(self, error: FileNotFoundError) -> None:
        if "NoSuchBucket" in str(error):
            raise ConfigError(
                f"there is no bucket {self.name!r}{self._where}: check its name, region (AWS_REGION) and endpoint"
                " (AWS_ENDPOINT_URL_S3)"
            ) from None

    @property
    def _where(self) -> str:
        return f" at {_USER.sub('//', self.endpoint)}" if self.endpoint else ""

    @contextmanager
    def _asking(self, what: str, *, may_miss: bool = False) -> Iterator[None]:
        """Translate what the block fails with. The library's own message quotes the request: the first line is kept."""
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise StoreRefused(
                f"{self.address}: may not {what}{self._where}: {_said(error)}; check the AWS_* variables, and what they"
                " may do there"
            ) from None
        except NotImplementedError as error:
            raise ConfigError(
                f"{self.address}: an AWS_* variable forbids to {what}: {_said(error)}; unset it"
            ) from None
        except (BaseError, OSError, ValueError) as error:
            if isinstance(error, ConfigError) or (may_miss and isinstance(error, FileNotFoundError)):
                raise
            if isinstance(error, FileNotFoundError):
                self._require_bucket(error)
            raise StoreError(
                f"{self.address}: cannot {what}{self._where}: {_said(error)}; run again after some minutes"
            ) from None


def _endpoint() -> str:
    for name in _ENDPOINTS:
        if endpoint := os.environ.get(name, ""):
            if not endpoint.startswith(("http://", "https://")):
                shown = _USER.sub("", f"//{endpoint}").lstrip("/")
                raise ConfigError(f"{name} is {shown!r}, and has to begin with https:// or http://")
            return endpoint
    return ""


def _said(error: Exception) -> str:
    """Return what an error of the library says, in one line, without secrets."""
    text = str(error).partition("\n\nDebug source")[0]
    code = re.search(r"<Code>(.*?)</Code>", text)
    line = " ".join(text.partition("<?xml")[0].partition("<Error")[0].split()).rstrip(": ")
    line = _USER.sub("//", re.sub(r"\?\S*", "", line))  # parameters of a request, and who asks
    line = re.sub(r" in [\d.]+\w+(, after \d+ retries, .*?retry_timeout: \w+)? - ", ": ", line)
    for name, value in secret_values().items():
        line = line.replace(value, f"[{name}]")
    return f"{line[:300]} ({code[1]})" if code else line[:300]


def _opened(bucket: str, prefix: str, endpoint: str, retries: int) -> S3Store:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ImportError as error:
        raise MissingExtra("s3", "reading or writing s3://") from error
    more: Mapping[str, Any] = {"endpoint": endpoint} if endpoint else {}
    try:
        return S3Store(
            bucket,
            prefix=prefix or None,
            # An endpoint that is written with http:// is meant so: of a store on this machine, or behind a proxy.
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=5),
                "read_timeout": timedelta(seconds=30),
                "timeout": timedelta(hours=1),  # a large file is one request
            },
            retry_config={"max_retries": retries, "retry_timeout": _PATIENCE},
            **more,
        )
    except (BaseError, ValueError, TypeError, NotImplementedError) as error:
        raise ConfigError(f"an AWS_* variable is wrong: {_said(error)}; correct it") from None
