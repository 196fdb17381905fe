"""``smp fold-counts``."""

from __future__ import annotations

import asyncio
from time import monotonic

import rich_click as click

from smp.adapters.cli.output import counted, print_json, print_line
from smp.adapters.cli.runtime import CliServices
from smp.application.caller import OPERATOR
from smp.application.execution import Handler
from smp.application.jobs.fold_counts import FoldCounts, FoldedCounts


def fold_counts_command(runtime: CliServices) -> click.Command:
    """Return the command ``fold-counts``."""

    @click.command("fold-counts")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def fold_counts(*, as_json: bool) -> None:
        """Add up the changes of the counts behind the statistics, so that statistics stay fast.

        No answer depends on it. smp serve does the same every SMP_FOLD_COUNTS_INTERVAL_S seconds.
        """
        started = monotonic()
        folded = asyncio.run(_fold(runtime))
        elapsed_s = monotonic() - started
        if as_json:
            print_json({**folded.counts, "elapsed_s": round(elapsed_s, 3)})
        else:
            print_line(f"{counted(folded.changes, 'change')} added up in {elapsed_s:.1f} s")

    return fold_counts


async def _fold(runtime: CliServices) -> FoldedCounts:
    async with runtime.use_cases() as use_cases:
        return await (await use_cases.get(Handler[FoldCounts, FoldedCounts]))(FoldCounts(), OPERATOR)
