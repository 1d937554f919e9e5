"""The extender's own times, out of the histogram on its page."""

from __future__ import annotations

import re

Histogram = dict[float, float]
"""How many calls took at most so many seconds."""


def of(page: str, verb: str) -> Histogram:
    """The histogram of ``verb`` on a page of /metrics; one bucket with nothing where there is none."""
    found = re.findall(rf'request_seconds_bucket\{{le="([^"]+)",verb="{verb}"\}} ([0-9.]+)', page)
    return {float(bound): float(count) for bound, count in found} or {0.0: 0.0}


def add(histogram: Histogram, before: Histogram, after: Histogram) -> None:
    """Add what came between two pages."""
    for bound, count in after.items():
        histogram[bound] = histogram.get(bound, 0.0) + count - before.get(bound, 0.0)


def quantile(histogram: Histogram, part: float) -> float:
    """Milliseconds, interpolated in a bucket."""
    bounds = sorted(histogram)
    total = histogram[bounds[-1]] if bounds else 0.0
    lower, below = 0.0, 0.0
    for bound in bounds:
        if total and histogram[bound] >= part * total:
            if bound == float("inf"):
                return lower * 1000
            inside = histogram[bound] - below
            return 1000 * (lower + (bound - lower) * ((part * total - below) / inside if inside else 1.0))
        lower, below = bound, histogram[bound]
    return 0.0
