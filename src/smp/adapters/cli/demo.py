"""``smp demo``."""

from __future__ import annotations

import asyncio

import rich_click as click

from smp.adapters.cli.output import counted, print_json, print_line, print_table
from smp.adapters.cli.runtime import CliServices, DemoOutcome

USERS_DEFAULT = 200
USERS_MAX = 1_000_000


def demo_command(runtime: CliServices) -> click.Command:
    """Return the command ``demo``."""

    @click.command("demo")
    @click.option(
        "--users",
        type=click.IntRange(1, USERS_MAX),
        default=USERS_DEFAULT,
        show_default=True,
        help="The number of users to create.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def demo(*, users: int, as_json: bool) -> None:
        """Fill the database with realistic data: plans, users and two years of their subscriptions.

        If the demo data exist already, nothing is changed. Refused in production.
        """
        outcome = asyncio.run(_load(runtime, users, as_json=as_json))
        if as_json:
            print_json(_document(outcome))
        else:
            _print(outcome)

    return demo


async def _load(runtime: CliServices, users: int, *, as_json: bool) -> DemoOutcome:
    from rich.console import Console  # noqa: PLC0415 - faster start: only this command needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("Writing users"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=as_json) as bar:
        task = bar.add_task("users", total=users)
        return await runtime.load_demo(users, lambda done: bar.update(task, completed=done))


def _document(outcome: DemoOutcome) -> dict[str, object]:
    return {
        "already_there": outcome.already_there,
        "users": outcome.users,
        "plans": outcome.plans,
        "subscriptions": outcome.subscriptions,
        "events": outcome.events,
        "password": outcome.password,
        "logins": [{"email": login.email, "standing": login.standing} for login in outcome.logins],
    }


def _print(outcome: DemoOutcome) -> None:
    if outcome.already_there:
        print_line("The demo data exist already; nothing was changed.")
    else:
        print_line(
            f"Created {counted(outcome.plans, 'plan')}, {counted(outcome.users, 'user')},"
            f" {counted(outcome.subscriptions, 'subscription')} and {counted(outcome.events, 'event')}."
        )
    print_line(f"All demo users have the password {outcome.password!r}. Some of them:")
    print_table(("email", "subscription"), [(login.email, login.standing) for login in outcome.logins])
