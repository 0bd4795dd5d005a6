"""The service with an encoder in microseconds: ``python -m standins.word_server MODELS``, prints its address."""

from __future__ import annotations

import sys
from pathlib import Path

from factories.tables import WordEncoder
from recsys.service.server import serve
from recsys.serving import load
from recsys.system.log import set_up


def main(models: Path) -> None:
    """Serve the current release on any free port of this machine."""
    set_up("human")
    recommender = load(models / "v1", encoder=WordEncoder(), eager=True, apart=True)
    serve(recommender, port=0, every=0.05, ready=lambda address: print(address, flush=True))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
