"""The report: text for the terminal, and the page docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from benchmarks.figures import Figure, Section, Table
from benchmarks.server import MEMORY

_INTRODUCTION: Final = """\
# Performance

`make bench` writes this page; do not edit it. Every target is a ratio of two values that were measured in one run on
one machine, or a limit for one machine. The machine of these figures is named below. To measure on your machine:

```
make bench                                          # everything; writes this page
.venv/bin/python -m benchmarks --only sweep         # one part: {names}
.venv/bin/python -m benchmarks --quick              # small data and short rounds, to see that it works
```

The benchmarks start an embedded PostgreSQL under `.smp/bench`. It has the settings of the one that `smp serve` starts
(every commit is flushed to disk), except for more memory, as on a dedicated server ({memory}).
The large data sets stay there for the next run. The domain code creates a sample, and SQL multiplies it. Every
constraint and `smp doctor` check the result.
"""


_MEMORY: Final = ", ".join(f"`{name}` {value}" for name, value in MEMORY.items())


def markdown(machine: str, sections: Sequence[Section]) -> str:
    """Return the page docs/performance.md."""
    names = ", ".join(section.name for section in sections)
    parts = [
        _INTRODUCTION.replace("{names}", names).replace("{memory}", _MEMORY),
        f"Machine: {machine}.\n",
        "## Targets\n",
        _targets(sections),
    ]
    for section in sections:
        parts += [f"## {section.title}\n", f"`.venv/bin/python -m benchmarks --only {section.name}`\n"]
        parts += [section.how.strip() + "\n", _figures(section.figures)]
        for table in section.tables:
            parts += [f"### {table.title}\n", _table(table.columns, table.rows)]
    return "\n".join(parts).rstrip() + "\n"


def terminal(section: Section) -> str:
    """Return one section as plain text."""
    lines = [section.title]
    width = max(len(figure.name) for figure in section.figures)
    for figure in section.figures:
        wanted = f"   {figure.target_text}: {_verdict(figure)}" if figure.target else ""
        lines.append(f"  {figure.name:<{width}}  {figure.text:>12}{wanted}")
    for table in section.tables:
        lines += ["", f"  {table.title}", *_columns(table)]
    return "\n".join(lines)


def missed(sections: Iterable[Section]) -> list[Figure]:
    """Return the figures that miss their targets."""
    return [figure for section in sections for figure in section.figures if figure.is_met is False]


def _targets(sections: Sequence[Section]) -> str:
    wanted = [figure for section in sections for figure in section.figures if figure.target is not None]
    rows = [(figure.name, figure.target_text, figure.text, _verdict(figure)) for figure in wanted]
    text = _table(("what", "target", "measured", "met"), rows)
    reasons = [f"- {figure.name}: {figure.reason}" for figure in wanted if figure.is_met is False and figure.reason]
    return text if not reasons else text + "\nWhy targets are missed:\n\n" + "\n".join(reasons) + "\n"


def _figures(figures: Sequence[Figure]) -> str:
    return _table(("figure", "measured", "target"), [(f.name, f.text, f.target_text or "-") for f in figures])


def _verdict(figure: Figure) -> str:
    return "yes" if figure.is_met else "**no**"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(columns), _row(["---"] * len(columns)), *(_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _columns(table: Table) -> list[str]:
    rows = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    return ["  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
