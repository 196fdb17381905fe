"""Writing answers: for people with rich, for programs as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from smp.application.queries.views import CheckResult


def print_json(document: object) -> None:
    """One JSON document and a line end on standard output."""
    sys.stdout.write(json.dumps(document, default=_plain, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """One line on standard output."""
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def print_notice(text: str) -> None:
    """One line on standard error, beside the answer."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def print_error(text: str) -> None:
    """One line on standard error that says what went wrong."""
    from rich.console import Console  # noqa: PLC0415 - start-up: wanted only where something goes wrong
    from rich.text import Text  # noqa: PLC0415

    Console(stderr=True, soft_wrap=True, highlight=False).print(
        Text.assemble(("smp: ", "bold"), ("error: ", "bold red"), printable(text))
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that takes the width it needs, so that what is cut off is never an id or a secret."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - start-up: wanted only where there is a table
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)
    console.print(table)


@contextmanager
def byte_progress(what: str, *, hidden: bool) -> Iterator[Callable[[int], None]]:
    """Show ``what`` and the number of bytes so far on standard error during the block, if that is a terminal."""
    from rich.console import Console  # noqa: PLC0415 - start-up: wanted by two commands only
    from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done: shown.update(task, completed=done)


def print_findings(findings: Sequence[CheckResult]) -> None:
    """What was checked, one line each, and under it what to do."""
    from rich.console import Console  # noqa: PLC0415 - start-up: wanted by the doctor only
    from rich.text import Text  # noqa: PLC0415

    console = Console(soft_wrap=True, highlight=False)
    for check_result in findings:
        mark = ("ok   ", "green") if check_result.ok else ("WRONG", "bold red")
        console.print(Text.assemble(mark, "  ", (check_result.check, "bold"), f": {printable(check_result.detail)}"))
        if check_result.advice:
            console.print(Text(f"       → {printable(check_result.advice)}"))


def finding_document(check_result: CheckResult) -> Mapping[str, object]:
    """A finding as programs read it."""
    return {
        "check": check_result.check,
        "ok": check_result.ok,
        "detail": check_result.detail,
        "advice": check_result.advice,
    }


def instant(value: datetime) -> str:
    """RFC 3339 with ``Z``, to the second: what people need."""
    return value.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def counted(count: int, noun: str) -> str:
    """``1 user``, ``2 users``, ``1,000 users``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def printable(text: str) -> str:
    """The text without what would move a terminal's cursor or change its colours; line ends stay."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)
