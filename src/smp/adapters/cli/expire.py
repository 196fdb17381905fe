"""``smp expire``."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from time import monotonic
from typing import Self

import rich_click as click

from smp.adapters.cli.output import counted, print_json, print_line
from smp.adapters.cli.runtime import CliServices
from smp.application.caller import OPERATOR
from smp.application.execution import Handler
from smp.application.expiry import ExpiryOutcome
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptions

_REPORT_EVERY_S = 0.1


def expire_command(runtime: CliServices) -> click.Command:
    """Return the command ``expire``."""

    @click.command("expire")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @click.pass_context
    def expire(context: click.RichContext, *, as_json: bool) -> None:
        """Run the expiry job once: store the final status of overdue subscriptions, and write their events.

        Answers are right before it runs, because they are computed from the dates. Several of these commands can run
        at once and share the work. Exit code 1 if a subscription could not be ended; the log says which.
        """
        started = monotonic()
        outcome = asyncio.run(_expire(runtime))
        elapsed_s = monotonic() - started
        if as_json:
            print_json(
                {
                    "expired": outcome.expired,
                    "cancelled": outcome.cancelled,
                    "failed": sorted(str(subscription_id) for subscription_id in outcome.failed),
                    "elapsed_s": round(elapsed_s, 3),
                }
            )
        else:
            print_line(_summary(outcome, elapsed_s))
        context.exit(1 if outcome.failed else 0)

    return expire


async def _expire(runtime: CliServices) -> ExpiryOutcome:
    async with runtime.use_cases() as use_cases:
        handler = await use_cases.get(Handler[ExpireDueSubscriptions, ExpiryOutcome])
        with _Meter() as meter:
            return await handler(ExpireDueSubscriptions(meter), OPERATOR)


class _Meter:
    """A line on standard error that shows the progress, if that is a terminal."""

    def __init__(self) -> None:
        self._shown_at = monotonic()
        self._showing = False

    def __call__(self, outcome: ExpiryOutcome) -> None:
        now = monotonic()
        if sys.stderr.isatty() and now - self._shown_at >= _REPORT_EVERY_S:
            self._shown_at = now
            self._showing = True
            sys.stderr.write(f"\r{counted(outcome.ended, 'subscription')} ended")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._showing:
            with suppress(OSError):
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()


def _summary(outcome: ExpiryOutcome, elapsed_s: float) -> str:
    text = (
        f"{counted(outcome.ended, 'subscription')} ended ({outcome.expired:,} expired, {outcome.cancelled:,} cancelled)"
        f" in {elapsed_s:.1f} s"
    )
    if outcome.failed:
        text += f"; {counted(len(outcome.failed), 'subscription')} could not be ended: see the log, and run smp doctor"
    return text
