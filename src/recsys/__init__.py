"""From clean warehouse tables to one verified recommender release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.serving import load
    from recsys.trainer import Trainer

    __version__: str

DISTRIBUTION = "recsys-releases"
"""The name that pip knows this package by; ``recsys`` is another project's."""

__all__ = ["Trainer", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import what brings libraries when it is first asked for; the version is the installation's."""
    if name == "__version__":
        from importlib.metadata import version

        return version(DISTRIBUTION)
    if name == "Trainer":
        from recsys.trainer import Trainer

        return Trainer
    if name == "load":
        from recsys.serving import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
