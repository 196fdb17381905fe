"""What ``smp export`` and ``smp import`` tell of their progress and of what they did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from smp.adapters.cli.output import counted
from smp.application.transfer import Progress, Stage, Summary

_WORDS: Final = {
    Stage.READING: "Writing the file",
    Stage.CHECKING: "Checking the file",
    Stage.WRITING: "Writing the database",
    Stage.COMPARING: "Comparing",
}


@contextmanager
def progress_bar(*, hidden: bool) -> Iterator[Progress]:
    """A bar for each stage on standard error, gone after the block; none where no one looks."""
    from rich.console import Console  # noqa: PLC0415 - start-up: wanted by two commands only
    from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    tasks: dict[Stage, TaskID] = {}
    with Bars(*columns, console=console, transient=True, disable=hidden or not console.is_terminal) as bars:

        def report(stage: Stage, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(_WORDS[stage], total=total)
            bars.update(tasks[stage], completed=done)

        yield report


def told(summary: Summary) -> str:
    """``3 rows (2 users, 1 plans)``: what is in the file, by the names of the tables."""
    parts = ", ".join(f"{count:,} {kind}" for kind, count in summary.counts.items() if count)
    return f"{counted(summary.lines, 'row')}{f' ({parts})' if parts else ''}"


def document(summary: Summary) -> dict[str, object]:
    """The same for programs."""
    return {"rows": summary.lines, "counts": dict(summary.counts), "sha256": summary.sha256}
