"""Output to the terminal: text for people, and JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from smp.application.queries.views import CheckResult


def print_json(document: object) -> None:
    """Print one JSON document and a line end on standard output."""
    sys.stdout.write(json.dumps(document, default=_plain, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """Print the text and a line end on standard output."""
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def print_notice(text: str) -> None:
    """Print the text and a line end on standard error."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def print_error(text: str) -> None:
    """Print an error on standard error."""
    from rich.console import Console  # noqa: PLC0415 - faster start: only errors need it
    from rich.text import Text  # noqa: PLC0415

    Console(stderr=True, soft_wrap=True, highlight=False).print(
        Text.assemble(("smp: ", "bold"), ("error: ", "bold red"), printable(text))
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in its full width, so that no id and no secret is cut off."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - faster start: only tables need it
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
    from rich.console import Console  # noqa: PLC0415 - faster start: only two commands need it
    from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done: shown.update(task, completed=done)


def print_check_results(results: Sequence[CheckResult]) -> None:
    """Print one line for each check, and below a failed one how to repair it."""
    from rich.console import Console  # noqa: PLC0415 - faster start: only two commands need it
    from rich.text import Text  # noqa: PLC0415

    console = Console(soft_wrap=True, highlight=False)
    for result in results:
        mark = ("ok   ", "green") if result.ok else ("WRONG", "bold red")
        console.print(Text.assemble(mark, "  ", (result.check, "bold"), f": {printable(result.detail)}"))
        if result.advice:
            console.print(Text(f"       → {printable(result.advice)}"))


def check_document(result: CheckResult) -> Mapping[str, object]:
    """Return the result of one check as a JSON object."""
    return {"check": result.check, "ok": result.ok, "detail": result.detail, "advice": result.advice}


def instant(value: datetime) -> str:
    """Return the instant in RFC 3339 with ``Z``, to the second, for people."""
    return value.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def counted(count: int, noun: str) -> str:
    """Return the count with its noun, such as ``1 user`` or ``1,000 users``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def printable(text: str) -> str:
    """Replace the control characters of a text, which could control the terminal; line ends stay."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)
