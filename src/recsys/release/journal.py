"""The log of a folder of releases: who published, refused, held and went back, when and why.

``log.jsonl`` is only ever added to, one JSON object a line. Each line holds the SHA-256 of the line before: one that
was changed, taken out or put in breaks the chain, which :meth:`Journal.lines` finds. What was cut off its end shows
where the current release is no longer the one that the log names last.

A line is on the disk before the link moves. So nothing is published that the log does not say; a process that ends
between the two leaves a line for what did not happen, and the next command says that the two differ.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import Field

from recsys.errors import ArtifactCorrupt, ArtifactWriteError, LockHeld, ReleaseError, StoreError
from recsys.release.card import user
from recsys.release.records import Format, Record, read_record
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from recsys.release.card import Card
    from recsys.release.manifest import Manifest
    from recsys.release.storage import Storage

log = events(__name__)

FORMAT = Format(1, 0)
"""The layout of a line."""

Event: TypeAlias = Literal["published", "withdrawn", "rolled back", "refused", "held", "hold lifted", "found"]
"""What happened. ``withdrawn``: the link did not move after all; ``found``: it names another release than the log."""
_SWITCHES = frozenset({"published", "rolled back", "found"})


class Line(Record):
    """One line of the log.

    Attributes
    ----------
    format, minor
        Version of its layout.
    at
        When, in UTC: ``2026-11-27T03:40:00Z``.
    event
        What happened; later versions may know more than :data:`Event`.
    release
        Which release it is about: the one that is to be current, or the refused candidate.
    replaces
        The one that was current before; None where there was none.
    by, why
        Who; and why, where somebody gave a reason or the gate has one.
    overrides
        Rules that were set aside, each with the reason: ``{"publish_anyway": "…"}``.
    before
        SHA-256 of the line before, in hex; None in the first.
    """

    format: int = FORMAT.major
    minor: int = FORMAT.minor
    at: str
    event: str
    release: str | None = None
    replaces: str | None = None
    by: str
    why: str | None = None
    overrides: dict[str, str] = Field(default_factory=dict)
    before: str | None


class Journal:
    """Reads the log of a folder of releases, and adds to it.

    Parameters
    ----------
    storage
        Where the releases are kept.
    """

    def __init__(self, storage: Storage) -> None:
        self._note = storage.log

    def lines(self) -> list[Line]:
        """Return all lines, oldest first; none where there is no log.

        Raises
        ------
        ArtifactCorrupt
            If a line is not what follows the one before: the message names the first such line.
        IncompatibleArtifact
            If a newer version wrote one.
        """
        lines: list[Line] = []
        before = None
        for number, data in enumerate(self._read().splitlines(), 1):
            line = read_record(f"{self.path}, line {number},", data, Line, FORMAT)
            if line.before != before:
                raise ArtifactCorrupt(
                    f"{self.path}, line {number}: the chain is broken: it follows a line with SHA-256"
                    f" {_short(line.before)}, and the one before has {_short(before)}; a line was changed, taken out or"
                    " put in: compare with a copy of the folder"
                )
            lines.append(line)
            before = hashlib.sha256(data).hexdigest()
        return lines

    def add(
        self, event: Event, release: str | None = None, *, by: str | None = None, why: str | None = None, **more: Any
    ) -> None:
        """Add one line, which is on the disk when this returns. A chain that is broken stays so.

        Parameters
        ----------
        event, release, why, more
            The fields of :class:`Line`.
        by
            Who; the user of the operating system when not given.

        Raises
        ------
        LockHeld
            If another process keeps the lock for more than ten seconds.
        ArtifactWriteError
            If it cannot be written.
        """

        def longer(data: bytes) -> bytes:
            last = data.splitlines()[-1] if data else None
            line = Line(
                at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                event=event,
                release=release,
                by=user() if by is None else by,
                why=why,
                **more,
                before=None if last is None else hashlib.sha256(last).hexdigest(),
            )
            ended = data if not data or data.endswith(b"\n") else data + b"\n"
            return ended + line.model_dump_json().encode() + b"\n"

        self._note.update("the log", longer)

    def publishing(self, manifest: Manifest, moved: Callable[[], bool]) -> AbstractContextManager[None]:
        """Say that a release is published, before the block moves the link; see :meth:`_switching`."""
        facts = manifest.facts
        said = {
            "publish_anyway": None if facts.verdict is None else facts.verdict.override,
            "accept_drift": None if facts.drift is None else facts.drift.accepted,
        }
        overrides = {name: reason for name, reason in said.items() if reason is not None}
        add = partial(self.add, "published", manifest.release, replaces=manifest.replaces, overrides=overrides)
        return self._switching(add, manifest.release, moved)

    def going_back(self, card: Card, moved: Callable[[], bool]) -> AbstractContextManager[None]:
        """Say that somebody goes back to a release, before the block moves the link; see :meth:`_switching`."""
        to, left = card.rolled_back_to, card.rolled_back_from
        add = partial(self.add, "rolled back", to, replaces=left, by=card.by, why=card.reason)
        return self._switching(add, to, moved)

    @contextmanager
    def _switching(self, add: Callable[[], None], release: str | None, moved: Callable[[], bool]) -> Iterator[None]:
        """Add a line before the block, and one that takes it back where the block failed and the link did not move."""
        try:
            add()
            yield
        except BaseException:
            if not moved():
                # Where that fails, the next command finds that the two differ.
                with suppress(ArtifactWriteError, LockHeld, StoreError):
                    self.add("withdrawn", release)
            raise

    def unexplained(self, current: str | None) -> str:
        """Say that the current release is not the one that the log names last; empty where it is, or none is named.

        Parameters
        ----------
        current
            Name of the current release.

        Raises
        ------
        ArtifactCorrupt, IncompatibleArtifact
            As :meth:`lines`.
        """
        withdrawn = None
        for line in reversed(self.lines()):
            if line.event == "withdrawn":
                withdrawn = line.release
            elif line.event in _SWITCHES and line.release != withdrawn:
                if line.release == current:
                    return ""
                return (
                    f"{self.path} names {line.release} as current since {line.at} ({line.event} by {line.by}), and"
                    f" {current or 'none'} is: a process was ended between the line and the switch, or somebody moved"
                    " the link"
                )
        return ""

    def find(self, current: str | None) -> None:
        """Say what :meth:`unexplained` says, and add a line that it was found. For who holds the publisher's lock.

        Raises
        ------
        LockHeld, ArtifactWriteError
            As :meth:`add`.
        """
        try:
            why = self.unexplained(current)
        except ReleaseError as error:  # no reason to publish nothing: `recsys releases --log` ends with it
            log.warning("the log of the releases is not whole", extra=keys(reason=error))
            return
        if why:
            log.warning("the log of the releases does not say how things are", extra=keys(reason=why))
            self.add("found", current, why=why)

    @property
    def path(self) -> str:
        """How people find it."""
        return self._note.address

    def _read(self) -> bytes:
        try:
            return self._note.read() or b""
        except ArtifactCorrupt as error:
            raise ArtifactCorrupt(
                f"{self.path} cannot be read: {error}; move it away, and the next run begins one"
            ) from error


def _short(digest: str | None) -> str:
    return "none" if digest is None else f"{digest[:12]}…"
