"""The metrics of a process."""

from __future__ import annotations

from itertools import product
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from smp.adapters.prometheus.definitions import FAMILIES, Family, Kind
from smp.adapters.prometheus.workers import ProcessMetrics, shared_folder, shared_registry

Series = TypeVar("Series", Counter, Gauge, Histogram)


class Metrics:
    """All metrics of this process. A series whose labels are known in advance starts at 0."""

    media_type: Final = "text/plain; version=0.0.4"

    def __init__(self) -> None:
        # The creation time of each series would double the number of series in the text format.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._families: dict[str, Counter | Gauge | Histogram] = {
            family.name: _registered(family, self._registry) for family in FAMILIES
        }
        ProcessMetrics(self._registry)
        for family in FAMILIES:
            if family.labels and all(family.labels.values()):
                for values in product(*family.labels.values()):
                    self._families[family.name].labels(*values)

    def counter(self, family: Family, *labels: str) -> Counter:
        """Return the counter with these label values."""
        return _of(Counter, self._families[family.name], labels)

    def gauge(self, family: Family, *labels: str) -> Gauge:
        """Return the gauge with these label values."""
        return _of(Gauge, self._families[family.name], labels)

    def histogram(self, family: Family, *labels: str) -> Histogram:
        """Return the histogram with these label values."""
        return _of(Histogram, self._families[family.name], labels)

    def exposition(self) -> bytes:
        """Return all metrics of this process, or of all workers that share a folder, in the text format."""
        folder = shared_folder()
        return generate_latest(self._registry if folder is None else shared_registry(folder))


def _registered(family: Family, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    labels = tuple(family.labels)
    if family.kind is Kind.COUNTER:
        return Counter(family.name, family.help, labels, registry=registry)
    if family.kind is Kind.GAUGE:
        return Gauge(family.name, family.help, labels, registry=registry, multiprocess_mode=family.workers.value)
    return Histogram(family.name, family.help, labels, registry=registry, buckets=family.buckets_s)


def _of(kind: type[Series], family: Counter | Gauge | Histogram, labels: tuple[str, ...]) -> Series:
    if not isinstance(family, kind):
        raise TypeError(f"{family} is no {kind.__name__}")
    return family.labels(*labels) if labels else family
