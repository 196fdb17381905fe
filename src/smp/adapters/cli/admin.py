"""``smp admin``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import rich_click as click

from smp.adapters.cli.output import instant, print_json, print_line, print_table
from smp.adapters.cli.runtime import CliServices
from smp.application.caller import OPERATOR
from smp.application.commands.create_admin import CreateAdmin
from smp.application.commands.reset_password import ResetPassword
from smp.application.commands.update_user_access import UpdateUserAccess
from smp.application.execution import Handler
from smp.application.outcomes import UserOutcome
from smp.application.password_policy import LENGTH_MAX
from smp.application.queries.get_user_by_email import GetUserByEmail
from smp.application.queries.list_administrators import ListAdministrators
from smp.application.queries.views import UserView

_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_PASSWORD_STDIN: Final = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)
_GENERATE_PASSWORD: Final = click.option(
    "--generate-password", is_flag=True, help="Generate a password and show it once."
)


def admin_commands(runtime: CliServices) -> click.Group:
    """Return the command group ``admin``."""

    @click.group("admin")
    def admin() -> None:
        """Manage administrators, and repair accounts."""

    admin.add_command(_create_command(runtime))
    admin.add_command(_list_command(runtime))
    admin.add_command(_reset_password_command(runtime))
    admin.add_command(_disable_command(runtime))
    admin.add_command(_enable_command(runtime))
    return admin


def _create_command(runtime: CliServices) -> click.Command:
    @click.command("create")
    @click.option("--email", required=True, help="The administrator's email address.")
    @_PASSWORD_STDIN
    @_GENERATE_PASSWORD
    @_JSON
    def create(*, email: str, password_stdin: bool, generate_password: bool, as_json: bool) -> None:
        """Create an administrator. Asks for the password, unless one of the password options is given."""
        password = _new_password(runtime, from_stdin=password_stdin, generate=generate_password)
        user = asyncio.run(_create(runtime, CreateAdmin(email, password)))
        if as_json:
            document = {"id": user.id, "email": user.email, "role": user.role, "created_at": user.created_at}
            print_json({**document, "password": password} if generate_password else document)
        else:
            print_line(f"administrator created: {user.email}")
            _show_generated(password, generated=generate_password)

    return create


def _list_command(runtime: CliServices) -> click.Command:
    @click.command("list")
    @_JSON
    def list_(*, as_json: bool) -> None:
        """List all administrators, including disabled ones."""
        admins = asyncio.run(_list(runtime))
        if as_json:
            print_json([_document(user) for user in admins])
        elif admins:
            rows = [(user.email, instant(user.created_at), "yes" if user.disabled else "no") for user in admins]
            print_table(("email", "created", "disabled"), rows)
        else:
            print_line("there are no administrators; create one with smp admin create --email EMAIL")

    return list_


def _reset_password_command(runtime: CliServices) -> click.Command:
    @click.command("reset-password")
    @click.argument("email")
    @_PASSWORD_STDIN
    @_GENERATE_PASSWORD
    @_JSON
    def reset_password(*, email: str, password_stdin: bool, generate_password: bool, as_json: bool) -> None:
        """Give the user with EMAIL a new password, and end all sessions of the user.

        Works for any user. Asks for the password, unless one of the password options is given.
        """
        password = _new_password(runtime, from_stdin=password_stdin, generate=generate_password)
        user = asyncio.run(_reset(runtime, ResetPassword(email, password)))
        if as_json:
            print_json({**_document(user), "password": password} if generate_password else _document(user))
        else:
            print_line(f"password reset: {user.email}; all sessions of this user have ended")
            _show_generated(password, generated=generate_password)

    return reset_password


def _disable_command(runtime: CliServices) -> click.Command:
    @click.command("disable")
    @click.argument("email")
    @_JSON
    def disable(*, email: str, as_json: bool) -> None:
        """Disable the user with EMAIL: all sessions end, and the user cannot sign in.

        The last enabled administrator cannot be disabled.
        """
        _show_access(asyncio.run(_set_disabled(runtime, email, disabled=True)), as_json=as_json)

    return disable


def _enable_command(runtime: CliServices) -> click.Command:
    @click.command("enable")
    @click.argument("email")
    @_JSON
    def enable(*, email: str, as_json: bool) -> None:
        """Enable the user with EMAIL again."""
        _show_access(asyncio.run(_set_disabled(runtime, email, disabled=False)), as_json=as_json)

    return enable


def _document(user: UserView) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "role": user.role,
        "disabled": user.disabled,
        "created_at": user.created_at,
    }


def _show_access(user: UserView, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(user))
    else:
        print_line(f"{'disabled' if user.disabled else 'enabled'}: {user.email}")


def _show_generated(password: str, *, generated: bool) -> None:
    if generated:
        print_line(f"password, shown only once: {password}")


def _new_password(runtime: CliServices, *, from_stdin: bool, generate: bool) -> str:
    if from_stdin and generate:
        raise click.UsageError("--password-stdin and --generate-password cannot be used together; choose one")
    return runtime.new_password() if generate else _password(from_stdin=from_stdin)


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


async def _list(runtime: CliServices) -> Sequence[UserView]:
    async with runtime.use_cases() as use_cases:
        handler = await use_cases.get(Handler[ListAdministrators, Sequence[UserView]])
        return await handler(ListAdministrators(), OPERATOR)


async def _reset(runtime: CliServices, command: ResetPassword) -> UserView:
    async with runtime.use_cases() as use_cases:
        return (await (await use_cases.get(Handler[ResetPassword, UserOutcome]))(command, OPERATOR)).user


async def _set_disabled(runtime: CliServices, email: str, *, disabled: bool) -> UserView:
    async with runtime.use_cases() as use_cases:
        user = await (await use_cases.get(Handler[GetUserByEmail, UserView]))(GetUserByEmail(email), OPERATOR)
        update = await use_cases.get(Handler[UpdateUserAccess, UserOutcome])
        return (await update(UpdateUserAccess(user.id, disabled=disabled), OPERATOR)).user
