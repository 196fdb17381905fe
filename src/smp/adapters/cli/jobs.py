"""``smp purge`` and ``smp fold-counts``: the jobs that change no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

import rich_click as click

from smp.adapters.cli.output import counted, print_json, print_line
from smp.adapters.cli.runtime import CliServices
from smp.application.caller import OPERATOR
from smp.application.execution import Handler
from smp.application.jobs.fold_counts import FoldCounts, FoldedCounts
from smp.application.jobs.outcome import JobOutcome
from smp.application.jobs.purge_expired import PurgeExpired
from smp.application.ports.retention_cleanup import PurgedRows

Outcome = TypeVar("Outcome", bound=JobOutcome)

_PURGE_HELP = """
Delete rows that are no longer needed: old idempotency keys, ended sessions, old counts of login attempts.

No answer depends on it. smp serve does the same every SMP_PURGE_INTERVAL_S seconds.
"""
_FOLD_COUNTS_HELP = """
Add up the changes of the counts behind the statistics, so that statistics stay fast.

No answer depends on it. smp serve does the same every SMP_FOLD_COUNTS_INTERVAL_S seconds.
"""


def purge_command(runtime: CliServices) -> click.Command:
    """Return the command ``purge``."""
    job = Handler[PurgeExpired, PurgedRows]
    return _command(
        runtime, "purge", _PURGE_HELP, job, PurgeExpired(), lambda done: f"{counted(done.total, 'row')} deleted"
    )


def fold_counts_command(runtime: CliServices) -> click.Command:
    """Return the command ``fold-counts``."""
    job = Handler[FoldCounts, FoldedCounts]
    return _command(
        runtime,
        "fold-counts",
        _FOLD_COUNTS_HELP,
        job,
        FoldCounts(),
        lambda done: f"{counted(done.changes, 'change')} added up",
    )


def _command(
    runtime: CliServices,
    name: str,
    help_text: str,
    job: type[Handler[Any, Outcome]],
    command: object,
    summary: Callable[[Outcome], str],
) -> click.Command:
    async def run() -> Outcome:
        async with runtime.use_cases() as use_cases:
            return await (await use_cases.get(job))(command, OPERATOR)

    @click.command(name, help=help_text)
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def run_job(*, as_json: bool) -> None:
        started = monotonic()
        outcome = asyncio.run(run())
        elapsed_s = monotonic() - started
        if as_json:
            print_json({**outcome.counts, "elapsed_s": round(elapsed_s, 3)})
        else:
            print_line(f"{summary(outcome)} in {elapsed_s:.1f} s")

    return run_job
