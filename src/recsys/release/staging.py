"""A release in the making: a folder on the store's own file system that nobody reads yet."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from recsys.errors import ArtifactCorrupt, ArtifactWriteError
from recsys.release.describe import describe
from recsys.release.durable import Buffer, flush_folder, sha256_of, write_bytes, writing
from recsys.release.facts import Facts
from recsys.release.layout import DIGEST, MANIFEST, SIGNATURE
from recsys.release.manifest import FORMAT, FileFacts, GoldenAnswer, Manifest, Provenance, Step, digest_file
from recsys.release.secrets import refuse_secrets
from recsys.release.signature import sign
from recsys.release.standing import Standing
from recsys.release.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from recsys.release.keys import Keys
    from recsys.release.pointer import Current
    from recsys.release.records import Json


STAGING = ".staging-"
"""Prefix of a release in the making; the next run removes what an interrupted one left."""


@dataclass(frozen=True)
class RunFacts:
    """What a run knows and its files do not say; all of it goes into the manifest.

    Attributes
    ----------
    content, cf
        Where the two halves came from.
    golden
        ``{"content": neighbours_of(model), "cf": recommendations_of(model)}``, see
        :mod:`recsys.serving.golden`.
    steps
        Seconds and peak memory of every step, in order.
    scores
        Headline scores by name.
    commit
        The git commit of the code.
    more
        Further facts, free of secrets.
    scenarios
        Rules at answer time by name.
    """

    content: Provenance
    cf: Provenance
    golden: Mapping[str, Sequence[GoldenAnswer]]
    steps: dict[str, Step] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    commit: str | None = None
    more: Facts = field(default_factory=Facts)
    scenarios: dict[str, dict[str, Json]] = field(default_factory=dict)


class Label(NamedTuple):
    """What a release is called.

    Attributes
    ----------
    release
        Its name: the run id.
    sequence
        Its number in the order of publication.
    """

    release: str
    sequence: int


class Staging(Standing):
    """Where a run puts the files of the release that it is making.

    Made by :meth:`recsys.release.store.ReleaseStore.staging`.

    Parameters
    ----------
    label
        The name and the number that the release will have.
    folder
        Where models and pages save their files, each through
        :func:`recsys.release.durable.write_bytes`.
    current
        The current release, or None. The attribute of this name is its folder.
    keys
        Check the current release, and sign this one.
    publish
        Makes the sealed folder current.
    """

    def __init__(
        self,
        label: Label,
        folder: Path,
        current: Current | None,
        keys: Keys,
        publish: Callable[[Staging, Manifest], None],
    ) -> None:
        self.release, self.sequence = label
        self.folder = folder
        super().__init__(None if current is None else current.folder, keys.public)
        self._signing = keys.signing
        self.replaces = None if current is None else current.name
        self._publish = publish
        self.published = False

    def write(self, name: str, data: Buffer) -> None:
        """Write one file of the release.

        Raises
        ------
        ArtifactWriteError
            If it cannot be written whole.
        """
        write_bytes(self.folder / name, data)

    def carry_over(self, names: Iterable[str]) -> Manifest:
        """Take files from the current release, verified, and return its manifest.

        Raises
        ------
        ArtifactCorrupt
            If there is no current release, or it fails its checksums or lacks a file.
        ArtifactWriteError
            If a file cannot be written whole.
        """
        if self.current is None:
            raise ArtifactCorrupt("there is no current release to take the other half from; `recsys train` trains both")
        verified = verify(self.current, keep=tuple(names), keys=self.keys)
        for name, data in verified.contents.items():
            self.write(name, data)
        return verified.manifest

    def publish(self, facts: RunFacts) -> Manifest:
        """Seal the folder, check it in a fresh process, and make it the current release.

        Returns
        -------
        Manifest
            The manifest of the release, which is current now.

        Raises
        ------
        ArtifactWriteError
            If anything failed; the current release stays.
        """
        manifest = Manifest(
            format=FORMAT.major,
            minor=FORMAT.minor,
            release=self.release,
            created=datetime.now(UTC).isoformat(timespec="milliseconds"),
            files=self._hash_files(),
            content=facts.content,
            cf=facts.cf,
            replaces=self.replaces,
            sequence=self.sequence,
            commit=facts.commit,
            steps=facts.steps,
            scores=facts.scores,
            golden={half: tuple(answers) for half, answers in facts.golden.items()},
            facts=facts.more,
            scenarios=facts.scenarios,
        )
        self._seal(manifest)
        self._publish(self, manifest)
        self.published = True
        return manifest

    def _hash_files(self) -> dict[str, FileFacts]:
        """Return the facts of every file, as it is on the disk now."""
        facts = {}
        with writing(f"read {self.folder} back"):
            for path in sorted(self.folder.iterdir()):
                if not path.is_file() or path.is_symlink():
                    raise ArtifactWriteError(f"{path} is no plain file; a release holds plain files only")
                facts[path.name] = FileFacts(size=path.stat().st_size, sha256=sha256_of(path), arrays=describe(path))
        return facts

    def _seal(self, manifest: Manifest) -> None:
        """Write the manifest's digest, the manifest itself, and what signs them all last."""
        try:
            data = manifest.to_bytes()
        except (TypeError, ValueError) as error:
            raise ArtifactWriteError(
                f"the manifest cannot be written as JSON: {error}; this is a bug in who made it"
            ) from error
        refuse_secrets(json.loads(data))
        seal = {DIGEST: digest_file(data), MANIFEST: data}
        for name, content in seal.items():
            self.write(name, content)
        if self._signing is not None:
            digests = {name: facts.sha256 for name, facts in manifest.files.items()}
            digests |= {name: hashlib.sha256(content).hexdigest() for name, content in seal.items()}
            self.write(SIGNATURE, sign(self.release, digests, self._signing))
        with writing(f"flush {self.folder}"):
            flush_folder(self.folder)
