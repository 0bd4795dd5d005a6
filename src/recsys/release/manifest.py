"""The manifest: what a release holds, where it came from, and what proves it.

``manifest.json`` is written last. ``manifest.sha256`` beside it holds its digest (and that of the
signature) in the format of ``sha256sum -c``; ``manifest.hmac`` its signature, where a key is set.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from recsys.errors import ArtifactCorrupt, IncompatibleArtifact
from recsys.release.layout import MANIFEST, SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
"""Version of the release format that this package writes, and the newest that it reads."""


_HOW_CONTENT_IS_ENCODED = frozenset({"engine", "device", "threads", "batch_tokens", "cache_dir", "cache_mb"})
"""Settings that change how long it takes to encode a text, and the last bits of its vector at most: no vector that
is in the cache is encoded anew for them. What decides a vector is in the encoder's recipe, the precision included."""


_WHERE_DATA_LIE = frozenset({"url", "games_table", "ratings_table"})
"""Settings of the source that are no input: the same rows from another place, or another table, make the same model.
How Snowflake is asked (``[snowflake]``) is none either. What was read is in the fingerprint."""


@dataclass(frozen=True)
class FileFacts:
    """One file of a release.

    Attributes
    ----------
    size
        In bytes.
    sha256
        Of the content, in hex.
    arrays
        What is in it: for each array its shape and dtype, such as
        ``{"user_factors": {"shape": [411000, 64], "dtype": "float32"}}``.
    """

    size: int
    sha256: str
    arrays: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """Where one half of a release, content or CF, came from.

    Two halves with equal :meth:`inputs` hold the same model.

    Attributes
    ----------
    trained_by
        The run that trained it: an older one where the half was carried over.
    rows
        Row counts, such as ``{"ratings": 19000000, "users": 411000, "games": 22000}``.
    fingerprint
        Of the data, independent of the order of rows; see :mod:`recsys.release.fingerprint`.
    settings
        The settings that shape the model. Identity and secrets are no settings.
    code
        SHA-256 of the package's source.
    libraries
        Versions of what it was computed with.
    query_id
        The source's own name for the query.
    computed_on
        Engine and device that encoded the texts that were not in the cache. No input: they decide
        the last bits of a vector.
    """

    trained_by: str
    rows: dict[str, int]
    fingerprint: str
    settings: dict[str, Any]
    code: str
    libraries: dict[str, str]
    query_id: str | None = None
    computed_on: dict[str, str] = field(default_factory=dict)

    def inputs(self) -> dict[str, Any]:
        """Return everything that decides what the model is."""
        settings = json.loads(json.dumps(self.settings))
        settings.pop("snowflake", None)
        for name in _WHERE_DATA_LIE & settings.get("source", {}).keys():
            del settings["source"][name]
        if "content" in settings:
            settings["content"] = {
                name: value for name, value in settings["content"].items() if name not in _HOW_CONTENT_IS_ENCODED
            }
        return {
            "data": self.fingerprint,
            "settings": settings,
            "code": self.code,
            "libraries": self.libraries,
        }


@dataclass(frozen=True)
class Step:
    """What one step of a run took: wall-clock seconds, and the peak of resident memory in MB so far."""

    seconds: float
    peak_memory_mb: float


@dataclass(frozen=True)
class Manifest:
    """All that a release says about itself.

    Attributes
    ----------
    release
        Its name: the run id.
    created
        When it was published: UTC, ISO 8601.
    files
        Every file but the manifest's own, by name.
    content, cf
        Where the two halves came from.
    replaces
        The release that was current before, if any.
    commit
        The git commit of the code, with ``-dirty`` where files were changed; None outside a checkout.
    steps
        Seconds and peak memory of every step, in order.
    scores
        Headline scores by name, such as ``{"ndcg@10": 0.31}``.
    golden
        Golden queries and their right answers; see :mod:`recsys.release.golden`.
    facts
        Further facts of the run, free of secrets.
    format
        Version of the release format.
    """

    release: str
    created: str
    files: dict[str, FileFacts]
    content: Provenance
    cf: Provenance
    replaces: str | None = None
    commit: str | None = None
    steps: dict[str, Step] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    golden: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """Return the content of ``manifest.json``.

        Raises
        ------
        ValueError
            If a fact is not finite: NaN is no JSON.
        """
        tree = {"format": self.format, **asdict(self)}
        return (json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

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
        try:
            tree = json.loads(data)
            version = tree["format"]
        except (ValueError, TypeError, KeyError) as error:
            raise ArtifactCorrupt(f"{MANIFEST} is not a manifest: {type(error).__name__}: {error}") from error
        if not isinstance(version, int) or version > FORMAT or version < 1:
            raise IncompatibleArtifact(
                f"the release has format {version!r}; this version reads format 1 to {FORMAT}: install a newer recsys"
            )
        try:
            return cls(**_typed(tree, cls))
        except (TypeError, KeyError, AttributeError) as error:
            raise ArtifactCorrupt(f"{MANIFEST} lacks or misnames a field of format {version}: {error}") from error

    def changes(self, content: Provenance, cf: Provenance) -> list[str]:
        """Name every input in which the halves of a new run differ from this release's.

        Returns
        -------
        list of str
            Such as ``["cf.data", "content.settings"]``; empty when the run would repeat this release.
        """
        changed = [] if self.format == FORMAT else ["format"]
        for name, before, now in (("content", self.content, content), ("cf", self.cf, cf)):
            old, new = before.inputs(), now.inputs()
            changed += [f"{name}.{key}" for key in new if new[key] != old[key]]
        return changed


def _typed(tree: Mapping[str, Any], cls: type[Manifest]) -> dict[str, Any]:
    known = {f.name for f in fields(cls)}
    values = {key: value for key, value in tree.items() if key in known}
    values["files"] = {name: FileFacts(**facts) for name, facts in tree["files"].items()}
    values["content"], values["cf"] = Provenance(**tree["content"]), Provenance(**tree["cf"])
    values["steps"] = {name: Step(**step) for name, step in tree["steps"].items()}
    return values


def digest_file(manifest: bytes, signature: bytes | None) -> bytes:
    """Return the content of ``manifest.sha256``, in the format of ``sha256sum -c``."""
    lines = [f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n"]
    if signature is not None:
        lines.append(f"{hashlib.sha256(signature).hexdigest()}  {SIGNATURE}\n")
    return "".join(lines).encode()
