"""What trackers tell of a published release, read from its own files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.release.layout import MANIFEST, METRICS, REPORT
from recsys.release.metrics import Metrics, read_metrics
from recsys.release.verify import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.release.manifest import Manifest

SENT = (MANIFEST, METRICS, REPORT)
"""Files of a release that leave it: none of them holds the id of a user, or what a single one scored."""


@dataclass(frozen=True)
class Told:
    """A release, as trackers tell of it.

    Attributes
    ----------
    manifest
        What it says about itself.
    metrics
        What proves it; None where it has none.
    digest
        SHA-256 of the manifest, in hex.
    files
        Those of :data:`SENT` that it has.
    """

    manifest: Manifest
    metrics: Metrics | None
    digest: str
    files: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> Told:
        """Read the folder of a release."""
        files = tuple(folder / name for name in SENT if (folder / name).is_file())
        metrics = read_metrics((folder / METRICS).read_bytes()) if folder / METRICS in files else None
        return cls(read_manifest(folder), metrics, hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest(), files)

    def settings(self) -> dict[str, str]:
        """Return the settings that shaped it, by ``section.key``."""
        merged = {**self.manifest.content.settings, **self.manifest.cf.settings}
        return {
            f"{section}.{key}": str(value)
            for section, values in merged.items()
            if isinstance(values, dict)
            for key, value in values.items()
        }


def scores(metrics: dict[str, object]) -> dict[str, float]:
    """Return the scores of all contenders, ``contender/ndcg_at_10``, of the content of ``metrics.json``."""
    found = {}
    for contender, row in Metrics.model_validate(metrics).evaluation.contenders.items():
        for name, score in row.items():
            value = score if score is None or isinstance(score, float) else score.value
            if value is not None:
                found[f"{contender}/{name.replace('@', '_at_')}"] = value
    return found
