"""From clean warehouse tables to one verified recommender release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.serving import load
    from recsys.trainer import Trainer

__version__ = "0.1.0"

__all__ = ["Trainer", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import ``Trainer`` and ``load`` when they are first asked for: both bring libraries."""
    if name == "Trainer":
        from recsys.trainer import Trainer

        return Trainer
    if name == "load":
        from recsys.serving import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
