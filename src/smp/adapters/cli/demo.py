"""``smp demo``."""

from __future__ import annotations

import asyncio

import rich_click as click

from smp.adapters.cli.output import counted, print_json, print_line, print_table
from smp.adapters.cli.runtime import CliServices, DemoOutcome

USERS_DEFAULT = 200
USERS_MAX = 1_000_000


def demo_command(runtime: CliServices) -> click.Command:
    """The command over this runtime."""

    @click.command("demo")
    @click.option(
        "--users",
        type=click.IntRange(1, USERS_MAX),
        default=USERS_DEFAULT,
        show_default=True,
        help="How many accounts to make.",
    )
    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    def demo(*, users: int, as_json: bool) -> None:
        """Fill the database with a believable set of data: plans, accounts and two years of their subscriptions.

        Where such data are there already, nothing is changed. Not for production.
        """
        outcome = asyncio.run(_load(runtime, users, as_json=as_json))
        if as_json:
            print_json(_document(outcome))
        else:
            _print(outcome)

    return demo


async def _load(runtime: CliServices, users: int, *, as_json: bool) -> DemoOutcome:
    from rich.console import Console  # noqa: PLC0415 - start-up: wanted by this command only
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
        print_line("The demonstration's data are there already; nothing was changed.")
    else:
        print_line(
            f"Made {counted(outcome.plans, 'plan')}, {counted(outcome.users, 'user')},"
            f" {counted(outcome.subscriptions, 'subscription')} and {counted(outcome.events, 'event')}."
        )
    print_line(f"All of the demonstration's users have the password {outcome.password!r}; among them:")
    print_table(("email", "standing"), [(login.email, login.standing) for login in outcome.logins])
