"""``smp purge``."""

from __future__ import annotations

import asyncio
from time import monotonic

import rich_click as click

from smp.adapters.cli.output import counted, print_json, print_line
from smp.adapters.cli.runtime import CliServices
from smp.application.caller import OPERATOR
from smp.application.execution import Handler
from smp.application.jobs.purge_expired import PurgeExpired
from smp.application.ports.retention_cleanup import PurgedRows


def purge_command(runtime: CliServices) -> click.Command:
    """Return the command over this runtime."""

    @click.command("purge")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def purge(*, as_json: bool) -> None:
        """Delete rows that are no longer needed: old idempotency keys, ended sessions, old counts of login attempts.

        No answer depends on it. smp serve does the same every SMP_PURGE_INTERVAL_S seconds.
        """
        started = monotonic()
        purged = asyncio.run(_purge(runtime))
        elapsed_s = monotonic() - started
        if as_json:
            print_json({**purged.counts, "elapsed_s": round(elapsed_s, 3)})
        else:
            print_line(f"{counted(purged.total, 'row')} deleted in {elapsed_s:.1f} s")

    return purge


async def _purge(runtime: CliServices) -> PurgedRows:
    async with runtime.use_cases() as use_cases:
        handler = await use_cases.get(Handler[PurgeExpired, PurgedRows])
        return await handler(PurgeExpired(), OPERATOR)
