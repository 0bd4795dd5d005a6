"""The process a run lives in: what it says, what interrupts it, which cores it has, and what its steps cost.

Nothing here needs more than Python when it is imported.
"""

from recsys.system import streams
from recsys.system.cores import usable_cores
from recsys.system.interrupt import SIGNALS, end_at_once_on_signals
from recsys.system.log import LogFormat, events, json_event, keys, set_up
from recsys.system.pulse import QUIET_S, progress, working
from recsys.system.steps import Steps, peak_memory_mb, trim_memory

__all__ = [
    "QUIET_S",
    "SIGNALS",
    "LogFormat",
    "Steps",
    "end_at_once_on_signals",
    "events",
    "json_event",
    "keys",
    "peak_memory_mb",
    "progress",
    "set_up",
    "streams",
    "trim_memory",
    "usable_cores",
    "working",
]
