"""The list of all problems, for docs/problems.md."""

from __future__ import annotations

from smp.adapters.http.problems.table import PROBLEMS


def problems_markdown() -> str:
    """The list of all problems, as docs/problems.md holds it."""
    rows = (f"| [`{p.slug}`](#{p.slug}) | {p.status} | {p.title} |" for p in PROBLEMS)
    sections = (
        f"## {p.slug}\n\nHTTP {p.status}: {p.title}.\n\n{p.explanation}\n\nWhat to do: {p.remedy}\n" for p in PROBLEMS
    )
    return "\n".join(
        [
            "# Problems",
            "",
            "Every error of the API is `application/problem+json` (RFC 9457).",
            "`type` is `/problems/<slug>`, which a running service explains under that path.",
            "A refused request changed nothing, so a repeat with the same `Idempotency-Key` is decided again.",
            "Only `payment-declined` is stored for the key and given again.",
            "",
            "| slug | status | title |",
            "| --- | --- | --- |",
            *rows,
            "",
            *sections,
        ]
    )
