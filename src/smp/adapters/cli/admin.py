"""``smp admin``."""

from __future__ import annotations

import asyncio
import sys

import rich_click as click

from smp.adapters.cli.output import print_json, print_line
from smp.adapters.cli.runtime import CliServices
from smp.application.caller import OPERATOR
from smp.application.commands.create_admin import CreateAdmin
from smp.application.execution import Handler
from smp.application.outcomes import UserOutcome
from smp.application.password_policy import LENGTH_MAX
from smp.application.queries.views import UserView


def admin_commands(runtime: CliServices) -> click.Group:
    """Return the command group ``admin``."""

    @click.group("admin")
    def admin() -> None:
        """Manage administrators."""

    @admin.command("create")
    @click.option("--email", required=True, help="The administrator's email address.")
    @click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")
    @click.option("--generate-password", is_flag=True, help="Generate a password and show it once.")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def create(*, email: str, password_stdin: bool, generate_password: bool, as_json: bool) -> None:
        """Create an administrator. Asks for the password, unless one of the password options is given."""
        if password_stdin and generate_password:
            raise click.UsageError("--password-stdin and --generate-password cannot be used together; choose one")
        password = runtime.new_password() if generate_password else _password(from_stdin=password_stdin)
        user = asyncio.run(_create(runtime, CreateAdmin(email, password)))
        if as_json:
            document = {"id": user.id, "email": user.email, "role": user.role, "created_at": user.created_at}
            print_json({**document, "password": password} if generate_password else document)
        elif generate_password:
            print_line(f"administrator created: {user.email}\npassword, shown only once: {password}")
        else:
            print_line(f"administrator created: {user.email}")

    return admin


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        # Read one character more than is allowed, so that a longer password is refused instead of cut.
        return sys.stdin.readline(LENGTH_MAX + 2).removesuffix("\n")
    if not sys.stdin.isatty():
        raise click.UsageError(
            "the password cannot be asked for, because standard input is not a terminal;"
            " add --password-stdin or --generate-password"
        )
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


async def _create(runtime: CliServices, command: CreateAdmin) -> UserView:
    async with runtime.use_cases() as use_cases:
        outcome = await (await use_cases.get(Handler[CreateAdmin, UserOutcome | None]))(command, OPERATOR)
    if outcome is None:
        raise AssertionError("only a command for the first administrator may create none")
    return outcome.user
