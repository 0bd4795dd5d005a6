"""The manifest: what a release holds, where it came from, and what proves it.

``manifest.json`` is written after the files that it names. ``manifest.sha256`` beside it holds its digest in the format
of ``sha256sum -c``; ``model.sig``, where a key is set, signs them all: see :mod:`recsys.release.signature`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Self

from pydantic import Field

from recsys.release.facts import Facts
from recsys.release.layout import HMAC, MANIFEST
from recsys.release.records import Format, Json, Record, read_record

FORMAT = Format(3, 3)
"""Format of releases that this package writes. 1.1 added ``minor`` and ``sequence``, 2.1 ``scenarios``; since 3.0 users
are folded in; 3.1 added ``precisions`` of the content half; since 3.2 what is signed has ``model.sig``, and no HMAC;
3.3 added ``metrics.parquet``, and ``work`` and ``ended_by`` of the search for settings."""

_HOW_CONTENT_IS_ENCODED = frozenset({"engine", "device", "threads", "batch_tokens", "cache_dir", "cache_mb"})
"""Settings that change how long it takes to encode a text, and the last bits of its vector at most: no vector that
is in the cache is encoded anew for them. What decides a vector is in the encoder's recipe, the precision included."""


_WHERE_DATA_LIE = frozenset({"url", "games_table", "ratings_table"})
"""Settings of the source that are no input: the same rows from another place, or another table, make the same model.
How Snowflake is asked (``[snowflake]``) is none either. What was read is in the fingerprint."""


class ArrayFacts(Record):
    """Shape and dtype of an array in a file."""

    shape: tuple[int, ...]
    dtype: str


class FileFacts(Record):
    """One file of a release.

    Attributes
    ----------
    size
        In bytes.
    sha256
        SHA-256 of the content, in hex.
    arrays
        What is in it: for each array its shape and dtype.
    """

    size: int
    sha256: str
    arrays: dict[str, ArrayFacts] = Field(default_factory=dict)


class Provenance(Record):
    """Where one half of a release, content or CF, came from.

    Two halves with equal :meth:`inputs` hold the same model.

    Attributes
    ----------
    trained_by
        The run that trained it: an older one where the half was carried over.
    rows
        Row counts, such as ``{"ratings": 19000000, "users": 411000, "games": 22000}``.
    fingerprint
        Fingerprint of the data, independent of the order of rows; see :mod:`recsys.release.fingerprint`.
    settings
        The settings that shape the model, by section. Identity and secrets are no settings.
    code
        SHA-256 of the package's source.
    libraries
        Versions of what it was computed with.
    query_id
        The source's own name for the query.
    computed_on
        Engine and device that encoded the texts that were not in the cache. No input: they decide
        the last bits of a vector.
    precisions
        How many of the games have a vector of each precision, such as ``{"bfloat16": 27900, "float32": 41}``: more than
        one where the cache held some of another precision than the recipe's. No input: they depend on the cache. Empty
        from versions that did not count, and for the CF half.
    """

    trained_by: str
    rows: dict[str, int]
    fingerprint: str
    settings: dict[str, Json]
    code: str
    libraries: dict[str, str]
    query_id: str | None = None
    computed_on: dict[str, str] = Field(default_factory=dict)
    precisions: dict[str, int] = Field(default_factory=dict)

    def section(self, name: str) -> dict[str, Json]:
        """Return one section of the settings; empty where there is none."""
        section = self.settings.get(name)
        return section if isinstance(section, dict) else {}

    def inputs(self) -> dict[str, Json]:
        """Return everything that decides what the model is."""
        without = {"source": _WHERE_DATA_LIE, "content": _HOW_CONTENT_IS_ENCODED}
        settings: dict[str, Json] = {
            name: {key: value for key, value in section.items() if key not in without.get(name, ())}
            if isinstance(section, dict)
            else section
            for name, section in self.settings.items()
            if name != "snowflake"
        }
        libraries: dict[str, Json] = dict(self.libraries)
        return {"data": self.fingerprint, "settings": settings, "code": self.code, "libraries": libraries}


class Step(Record):
    """What one step of a run took: wall-clock seconds, and the peak of resident memory in MB so far."""

    seconds: float
    peak_memory_mb: float


class GoldenAnswer(Record):
    """A golden query and its right answer; see :mod:`recsys.serving.golden`.

    Attributes
    ----------
    asked
        Id of a game or of a user.
    games
        Ids of the games in the answer, best first.
    values
        Their squared distances or scores.
    """

    asked: int | str
    games: tuple[int | str, ...]
    values: tuple[float, ...]


class Manifest(Record):
    """All that a release says about itself.

    Attributes
    ----------
    format, minor
        Version of the release format: MAJOR, and MINOR within it.
    release
        Its name: the run id.
    created
        When it was published: UTC, ISO 8601.
    files
        Every file but the manifest's own, by name.
    content, cf
        Where the two halves came from.
    replaces
        Its predecessor: the release that was current when it was published, if any.
    sequence
        Its number in the order of publication; None from versions that did not count, see
        :mod:`recsys.release.sequence`.
    commit
        The git commit of the code, with ``-dirty`` where files were changed; None outside a checkout.
    steps
        Seconds and peak memory of every step, in order.
    scores
        Headline scores by name, such as ``{"ndcg@10": 0.31}``.
    golden
        Golden queries and their right answers by half; see :mod:`recsys.serving.golden`.
    facts
        Further facts of the run, free of secrets.
    scenarios
        Rules at answer time by the name under which they are asked for; see :class:`recsys.serving.rules.Rules`.
    """

    format: int
    minor: int = 0
    release: str
    created: str
    files: dict[str, FileFacts]
    content: Provenance
    cf: Provenance
    replaces: str | None = None
    sequence: int | None = None
    commit: str | None = None
    steps: dict[str, Step] = Field(default_factory=dict)
    scores: dict[str, float] = Field(default_factory=dict)
    golden: dict[str, tuple[GoldenAnswer, ...]] = Field(default_factory=dict)
    facts: Facts = Facts()
    scenarios: dict[str, dict[str, Json]] = Field(default_factory=dict)

    @property
    def folds_users(self) -> bool:
        """Whether users are folded in when it answers; before format 3 it answers by the factors that it holds."""
        return self.format >= 3

    def to_bytes(self) -> bytes:
        """Return the content of ``manifest.json``.

        Raises
        ------
        ValueError
            If a fact is not finite: NaN is no JSON.
        """
        return (json.dumps(self.model_dump(), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a manifest whose digest was checked.

        Raises
        ------
        IncompatibleArtifact
            If a newer format wrote it.
        ArtifactCorrupt
            If it is not a manifest.
        """
        return read_record(MANIFEST, data, cls, FORMAT)

    def changes(self, content: Provenance, cf: Provenance) -> list[str]:
        """Name every input in which the halves of a new run differ from this release's.

        Returns
        -------
        list of str
            Such as ``["cf.data", "content.settings"]``; empty when the run would repeat this release.
        """
        changed = [] if self.format == FORMAT.major else ["format"]
        for name, before, now in (("content", self.content, content), ("cf", self.cf, cf)):
            old, new = before.inputs(), now.inputs()
            changed += [f"{name}.{key}" for key in new if new[key] != old[key]]
        return changed


def digest_file(manifest: bytes, hmac: bytes | None = None) -> bytes:
    """Return the content of ``manifest.sha256``, for ``sha256sum -c``; before format 3.2 an HMAC had a line."""
    lines = [f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n"]
    if hmac is not None:
        lines.append(f"{hashlib.sha256(hmac).hexdigest()}  {HMAC}\n")
    return "".join(lines).encode()
