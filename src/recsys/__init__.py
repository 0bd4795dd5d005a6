"""From clean warehouse tables to one verified recommender release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.trainer import Trainer

__version__ = "0.1.0"

__all__ = ["Trainer", "__version__"]


def __getattr__(name: str) -> Any:
    """Import ``Trainer`` when it is first asked for: training brings heavy libraries."""
    if name == "Trainer":
        from recsys.trainer import Trainer

        return Trainer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
