"""Serving a release: ``load`` it, and ask the :class:`~recsys.serving.recommender.Recommender`.

Nothing here imports torch, pandas, implicit or a warehouse; numpy, faiss, pyarrow and pydantic are enough.
"""

from __future__ import annotations

from recsys.serving.answers import Answer, Reason, Suggestion
from recsys.serving.entry import load
from recsys.serving.filters import Filter
from recsys.serving.options import ListOptions
from recsys.serving.recommender import Recommender
from recsys.serving.rules import Rules
from recsys.serving.visitors import Visitor

__all__ = ["Answer", "Filter", "ListOptions", "Reason", "Recommender", "Rules", "Suggestion", "Visitor", "load"]
