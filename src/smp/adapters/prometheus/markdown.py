"""The documentation of the metrics, made from their definitions."""

from __future__ import annotations

from collections.abc import Iterable

from smp.adapters.prometheus.definitions import FAMILIES, PROCESS_FAMILIES, Family


def metrics_markdown() -> str:
    """Return the content of docs/metrics.md."""
    return "\n".join(
        [
            "# Metrics",
            "",
            "The metrics at `/metrics`, for all workers of one `smp serve` together. How to read them, alerts,",
            "dashboard and traces: [observability](observability.md). No label has a value from a caller: there",
            "is no series for a user, an address or a plan. A histogram has the series `…_bucket` (with `le`),",
            "`…_sum` and `…_count`.",
            "",
            "| metric | type | labels | meaning |",
            "| --- | --- | --- | --- |",
            *_rows(FAMILIES),
            "",
            "On Linux, the worker processes also have:",
            "",
            "| metric | type | labels | meaning |",
            "| --- | --- | --- | --- |",
            *_rows(PROCESS_FAMILIES),
            "",
        ]
    )


def _rows(families: Iterable[Family]) -> Iterable[str]:
    for family in families:
        labels = "; ".join(
            f"`{label}`" + (f": {', '.join(f'`{value}`' for value in values)}" if values else "")
            for label, values in family.labels.items()
        )
        yield f"| `{family.name}` | {family.kind} | {labels or 'none'} | {family.help} |"
