"""What is examined, and what checks leave for those that come after them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from recsys.config import Settings
    from recsys.embedding.encoder import TextEncoder
    from recsys.errors import PrivilegeError
    from recsys.release.store import ReleaseStore
    from recsys.sources import Source


@dataclass
class Case:
    """One set-up under examination.

    Attributes
    ----------
    output
        Folder of the releases; None for that of the settings.
    limit_s
        Seconds that the examination may take.
    config
        The settings file that was named; None for ``recsys.toml``, if there is one.
    overrides
        ``section.key=value`` texts.
    environ
        The environment.
    settings
        Of a run; set by the check of the settings.
    encoder
        Of a run; set by its check. The model is not loaded.
    source
        Open; set by its check.
    excess
        Why the source's role is refused; set where it is.
    """

    output: Path | str | None
    limit_s: float
    config: Path | None = None
    overrides: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    settings: Settings = field(init=False)
    encoder: TextEncoder = field(init=False)
    source: Source | None = None
    excess: PrivilegeError | None = None

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.limit_s

    @property
    def left_s(self) -> float:
        """Seconds that are left; never less than one: most checks need milliseconds."""
        return max(1.0, self._end - time.monotonic())

    @cached_property
    def store(self) -> ReleaseStore:
        """Where a run would publish."""
        from recsys.release.store import ReleaseStore

        bounds = self.settings.release
        folder = bounds.output if self.output is None else self.output
        return ReleaseStore(folder, keep=bounds.keep, max_age_days=bounds.max_age_days)
