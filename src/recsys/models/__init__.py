"""The two models of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.models.cf import CollaborativeFilter
    from recsys.models.content import RAGRecommender

__all__ = ["CollaborativeFilter", "RAGRecommender"]


def __getattr__(name: str) -> Any:
    """Import a model when it is first asked for: both bring heavy libraries."""
    if name == "CollaborativeFilter":
        from recsys.models.cf import CollaborativeFilter

        return CollaborativeFilter
    if name == "RAGRecommender":
        from recsys.models.content import RAGRecommender

        return RAGRecommender
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
