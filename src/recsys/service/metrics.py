"""What Prometheus reads at ``/metrics``: requests, their latency, the release and its age.

With several workers each counts into files of a folder that all share, and whichever is asked adds them up.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from recsys.service.shared import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from recsys.release.manifest import Manifest
    from recsys.service.exchange import Exchange
    from recsys.service.watch import Watch
    from recsys.serving import Recommender

CONTENT_TYPE = CONTENT_TYPE_LATEST

_CREATED = "recsys_release_created_timestamp_seconds"
_INFO = "recsys_release_info"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Metrics:
    """The metrics of one service.

    Attributes
    ----------
    lost
        Lines that the access log could not take.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        requests = "Requests by route, method and status; no route where a request reached none."
        self._requests = Counter(
            "recsys_http_requests_total", requests, ["route", "method", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "recsys_http_request_duration_seconds",
            "Time from a request's headers to the end of its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._info = self._gauge(_INFO, "1 for the release that is served.", "livemax", ["release"])
        self._created = self._gauge(_CREATED, "When the release that is served was published.", "livemin")
        degraded = "1 where the current release cannot be served: the one before answers, or nothing does."
        self._degraded = self._gauge("recsys_degraded", degraded, "livemax")
        self._ready = self._gauge("recsys_ready", "1 where a release is served.", "livemin")
        self._swaps = Counter("recsys_release_swaps_total", "Releases taken after the first.", registry=self._registry)
        self.lost = Counter(
            "recsys_access_log_lost_lines_total", "Lines that the access log could not take.", registry=self._registry
        )
        self._serving: str | None = None
        self._looking = threading.Lock()

    def count(self, exchange: Exchange) -> None:
        """Count a request that was answered."""
        method = exchange.method if exchange.method in _METHODS else "other"
        self._requests.labels(exchange.route, method, str(exchange.status)).inc()
        self._seconds.labels(exchange.route).observe(exchange.seconds)

    def look(self, recommender: Recommender, watch: Watch | None) -> None:
        """Take over what is served now."""
        self._degraded.set(1 if watch is not None and watch.problem else 0)
        self._ready.set(1 if recommender.is_loaded else 0)
        if recommender.is_loaded:
            self._serve(recommender.snapshot.manifest)

    def _serve(self, manifest: Manifest) -> None:
        with self._looking:  # the watch and a reader of the metrics look at once
            if self._serving == manifest.release:
                return
            if self._serving is not None:
                self._info.labels(self._serving).set(0)
                self._swaps.inc()
            self._info.labels(manifest.release).set(1)
            self._created.set(datetime.fromisoformat(manifest.created).timestamp())
            self._serving = manifest.release

    def text(self) -> bytes:
        """Return the metrics of all workers as Prometheus reads them."""
        shown = CollectorRegistry()
        together = MultiProcessCollector(None) if SHARED in os.environ else self._registry  # type: ignore[no-untyped-call]
        shown.register(_Shown(together))
        return generate_latest(shown)

    def _gauge(self, name: str, about: str, mode: str, labels: Iterable[str] = ()) -> Gauge:
        return Gauge(name, about, labels, registry=self._registry, multiprocess_mode=mode)  # type: ignore[arg-type]


class _Shown(Collector):
    """Metrics without the releases that nobody serves any more, and with the age of the one that is served."""

    def __init__(self, beneath: Collector) -> None:
        self._beneath = beneath

    def collect(self) -> Iterable[Metric]:
        for metric in self._beneath.collect():
            if metric.name == _INFO:
                metric.samples = [sample for sample in metric.samples if sample.value]
            if metric.name == _CREATED and (created := [sample.value for sample in metric.samples if sample.value]):
                age = "Age of the release that is served, of the oldest where workers serve several."
                yield GaugeMetricFamily("recsys_release_age_seconds", age, value=max(0.0, time.time() - min(created)))
            yield metric
