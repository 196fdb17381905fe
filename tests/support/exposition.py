"""The content of `/metrics`, parsed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """All series with their values at one moment, and the type of each family by its name."""

    values: Mapping[Series, float]
    types: Mapping[str, str]

    def __call__(self, name: str, **labels: str) -> float:
        """Return the value of this series. A missing series fails."""
        return self.values[name, frozenset(labels.items())]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of all series of this name that have these labels, among others."""
        return sum(value for (found, pairs), value in self.values.items() if found == name and labels.items() <= pairs)

    @property
    def names(self) -> frozenset[str]:
        """Return the names of all series."""
        return frozenset(name for name, _ in self.values)

    def labels(self, name: str) -> Iterable[Mapping[str, str]]:
        """Return the labels of every series of this name."""
        return [dict(pairs) for found, pairs in self.values if found == name]


def read(text: str) -> Scrape:
    """Parse the text format. A duplicate series fails."""
    values: dict[Series, float] = {}
    types: dict[str, str] = {}
    for family in text_string_to_metric_families(text):
        types[family.name] = family.type
        for sample in family.samples:
            series = sample.name, frozenset(sample.labels.items())
            assert series not in values, f"{sample.name} {sample.labels} is there twice"
            values[series] = sample.value
    return Scrape(values, types)
