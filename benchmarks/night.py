"""A whole night on a generated warehouse whose texts are known: seconds and peak memory, step by step.

    python -m benchmarks.generate FOLDER --games 28000
    python -m benchmarks.night FOLDER OUTPUT [--set cf.tuning=off] [--set cf.item_weight=0]

Everything that `recsys train` does, but for the texts, whose vectors are random. Generated ratings hold no taste that a
gate could see: it is overridden. The peak is that of the process so far.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from benchmarks.export import RandomVectors
from recsys.config import load_settings
from recsys.pipeline.outcome import Overrides
from recsys.trainer import Trainer


def main() -> None:
    """Run it, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="SECTION.KEY=VALUE")
    asked = parser.parse_args()
    settings = load_settings(None, [f"source.url={asked.folder.absolute()}", *asked.settings], {})
    trainer = Trainer({}, asked.output, settings=settings, embedding_model=RandomVectors())
    began = time.perf_counter()
    trainer.run_pipeline(force=True, overrides=Overrides(publish_anyway="a benchmark"))
    wall, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    print("| step | s | peak MB |\n| --- | --- | --- |")
    for name, seconds in trainer.steps.seconds.items():
        print(f"| {name} | {seconds:.1f} | {trainer.steps.peak_mb[name]:,.0f} |")
    cpu = used.ru_utime + used.ru_stime
    print(f"| all, {cpu:.0f} s of CPU | {wall:.1f} | {used.ru_maxrss / 1024:,.0f} |")


if __name__ == "__main__":
    main()
