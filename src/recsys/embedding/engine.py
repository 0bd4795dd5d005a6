"""What runs the model: one small protocol, one file for each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from recsys.embedding.model import ModelFolder
    from recsys.embedding.plan import Plan
    from recsys.embedding.processors import Precision


class Engine(Protocol):
    """A loaded model."""

    @property
    def precision(self) -> Precision:
        """What it computes in: the plan's, or float32 where this processor can do nothing else."""
        ...

    def embed(self, texts: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Yield every text's vector once, in whatever order is fastest.

        Yields
        ------
        places
            intp, (rows,): where the texts stood in ``texts``.
        vectors
            float32, (rows, dimension), not yet of unit length.
        """
        ...


def load_engine(folder: ModelFolder, plan: Plan) -> Engine:
    """Load the model; the engine is installed: see :func:`recsys.embedding.plan.require_engine`."""
    if plan.engine == "openvino":
        from recsys.embedding.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(folder, plan)
    from recsys.embedding.torch_engine import TorchEngine

    return TorchEngine(folder, plan)
