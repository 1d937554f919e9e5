"""What /metrics shows. One Metrics object per process; ``extender``, ``app`` and ``wake`` count on it."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0002, 0.0003, 0.0005, 0.0007, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


class Metrics:
    """Counters and gauges of the extender."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.seconds = Histogram(
            "podnet_extender_request_seconds",
            "Time to answer kube-scheduler.",
            ["verb"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.answers = Counter(
            "podnet_extender_answers", "Answers to kube-scheduler by status.", ["verb", "code"], registry=self._registry
        )
        self.refused = Counter(
            "podnet_extender_refused_nodes", "Nodes refused, by reason.", ["reason"], registry=self._registry
        )
        self.writes = Counter(
            "podnet_extender_pod_writes", "Writes to waiting Pods.", ["action", "result"], registry=self._registry
        )

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show ``value()`` at each scrape."""
        Gauge(f"podnet_extender_{name}", text, registry=self._registry).set_function(value)

    def page(self) -> bytes:
        """The page."""
        return generate_latest(self._registry)
