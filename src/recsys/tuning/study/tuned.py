"""The result of a long search, as TOML for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from recsys.tuning.hold_out import K

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.evaluation.bootstrap import Interval


@dataclass(frozen=True)
class Tuned:
    """The best settings, and how sure that is.

    Attributes
    ----------
    settings
        Settings of section ``cf``, by name: those that were searched, and those that were given.
    score, rule
        NDCG@10 of the best settings and of the rule, on a hold-out drawn anew: the best of many
        trials owes some of its score on theirs to luck.
    difference
        The first less the second, on the same users.
    users
        How many they are.
    trials
        How many finished, in this run and earlier ones.
    stopped
        How many of them were stopped early.
    importances
        Shares that add up to 1, by setting, most important first; empty after too few trials.
    study
        The file.
    seconds
        Wall time of this run.
    """

    settings: Mapping[str, Any]
    score: Interval
    rule: Interval
    difference: Interval
    users: int
    trials: int
    stopped: int
    importances: Mapping[str, float]
    study: str
    seconds: float

    @property
    def sure(self) -> bool:
        """Whether the best settings are better than the rule with 95% confidence."""
        return self.difference.low > 0

    def as_json(self) -> dict[str, object]:
        """Return everything ready for JSON."""
        stored = asdict(self)
        for name in ("score", "rule", "difference"):
            stored[name] = getattr(self, name)._asdict()
        return {"status": "searched", **stored, "sure": self.sure, "settings": {"cf": dict(self.settings)}}

    def as_toml(self) -> str:
        """Return the settings as a piece of ``recsys.toml``; all else is comments."""
        table = "\n".join(f"{name} = {_toml(value)}" for name, value in self.settings.items())
        return "".join(f"# {line}\n" for line in self._comments()) + f"[cf]\n{table}\n"

    def _comments(self) -> list[str]:
        verdict = (
            "surely better than the rule"
            if self.sure
            else "not surely better than the rule: leaving these settings out may do as well"
        )
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.importances.items())
        return [
            f"{self.study}: {self.trials} trials, {self.stopped} of them stopped early",
            f"NDCG@{K} {self.score}, the rule's {self.rule}",
            f"difference {self.difference} on {self.users:,} users of a hold-out drawn anew",
            verdict,
            f"what mattered: {shares or 'too few trials to tell'}",
        ]


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
