"""What the workers of one server share beside the socket."""

from __future__ import annotations

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable by which Prometheus' client finds the folder for the counts of several processes; it looks when
it is imported."""
