"""A release made once more from its own records, and held against what was published."""

from recsys.pipeline.rebuild.again import rebuild
from recsys.pipeline.rebuild.likeness import Likeness
from recsys.pipeline.rebuild.recorded import RecordedRelease
from recsys.pipeline.rebuild.vectors import open_encoder

__all__ = ["Likeness", "RecordedRelease", "open_encoder", "rebuild"]
