"""Where a run would publish: writable, free, not held, and what is current there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from recsys.doctor.findings import Seen
from recsys.errors import QualityGateFailed

if TYPE_CHECKING:
    from recsys.doctor.case import Case


def output(case: Case) -> Seen:
    """Prove that the folder can be written."""
    storage = case.store.storage
    free = storage.prove()
    there = "writable" if storage.folder.is_dir() else "not there yet, and can be made"
    here = "" if str(storage.folder) == storage.address else f" for its copies in {storage.folder}"
    text = f"{storage.address} is {there}, {free / 1e9:,.1f} GB free{here}"
    return Seen(text, {"path": storage.address, "free_bytes": free})


def lock(case: Case) -> Seen:
    """Look whether a publisher is at work."""
    case.store.storage.refuse_publisher()
    return Seen("no run is publishing")


def hold(case: Case) -> Seen:
    """Look whether somebody holds publishing."""
    case.store.holds.refuse("a run would publish nothing")
    return Seen("publishing is not held")


def current(case: Case) -> Seen:
    """Check every byte of the current release."""
    from recsys.release.verify import verify

    store = case.store
    if store.current() is None:
        if case.settings.gate.require_current:
            raise QualityGateFailed(
                f"no release is current in {store.address}, and gate.require_current is on: restore that folder, or set"
                " gate.require_current=false for a first run"
            )
        return Seen("there is none yet: a run publishes the first", applies=False)
    manifest = store.manifest()
    verify(store.path(), keys=store.keys.public)
    days = (datetime.now(UTC) - datetime.fromisoformat(manifest.created)).days
    size = sum(facts.size for facts in manifest.files.values())
    form = f"{manifest.format}.{manifest.minor}"
    facts = {"release": manifest.release, "created": manifest.created, "format": form, "bytes": size}
    age = "of today" if days < 1 else f"{days:,} days old"
    text = f"{manifest.release}, {age}, format {form}: {len(manifest.files)} files, {size / 1e6:,.1f} MB as published"
    return Seen(text, dict(facts))
