"""``smp api-key``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import rich_click as click

from smp.adapters.cli.output import instant, print_error, print_json, print_line, print_table
from smp.adapters.cli.runtime import CliServices
from smp.application.caller import OPERATOR
from smp.application.commands.create_api_key import CreateApiKey, NewApiKey
from smp.application.commands.revoke_api_key import RevokeApiKey
from smp.application.execution import Handler
from smp.application.queries.list_api_keys import ListApiKeys
from smp.application.queries.views import ApiKeyView


def api_key_commands(runtime: CliServices) -> click.Group:
    """Return the command group ``api-key``."""

    @click.group("api-key")
    def api_key() -> None:
        """Manage the API keys of services."""

    api_key.add_command(_create_command(runtime))
    api_key.add_command(_list_command(runtime))
    api_key.add_command(_revoke_command(runtime))
    return api_key


def _create_command(runtime: CliServices) -> click.Command:
    @click.command("create")
    @click.argument("name")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def create(*, name: str, as_json: bool) -> None:
        """Create an API key for the service NAME, and show its secret once."""
        created = asyncio.run(_create(runtime, name))
        if as_json:
            print_json({**_document(created.key), "secret": created.secret})
        else:
            print_line(
                f"key {created.key.id} created for {created.key.name}\nsecret, shown only once: {created.secret}"
            )

    return create


def _list_command(runtime: CliServices) -> click.Command:
    @click.command("list")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def list_(*, as_json: bool) -> None:
        """List all API keys, including revoked ones, oldest first."""
        keys = asyncio.run(_list(runtime))
        if as_json:
            print_json([_document(key) for key in keys])
        elif keys:
            print_table(("id", "name", "created", "revoked"), [_row(key) for key in keys])
        else:
            print_line("there are no API keys; create one with smp api-key create NAME")

    return list_


def _revoke_command(runtime: CliServices) -> click.Command:
    @click.command("revoke")
    @click.argument("key_id", metavar="ID", type=click.UUID)
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @click.pass_context
    def revoke(context: click.RichContext, *, key_id: UUID, as_json: bool) -> None:
        """Revoke the API key with this ID. The service's next request is refused. Exit code 1 if there is none."""
        revoked = asyncio.run(_revoke(runtime, key_id))
        if as_json:
            print_json({"id": key_id, "revoked": revoked})
        elif revoked:
            print_line(f"key {key_id} revoked")
        else:
            print_error(f"there is no key {key_id}, or it is revoked already; smp api-key list shows all keys")
        context.exit(0 if revoked else 1)

    return revoke


async def _create(runtime: CliServices, name: str) -> NewApiKey:
    async with runtime.use_cases() as use_cases:
        return await (await use_cases.get(Handler[CreateApiKey, NewApiKey]))(CreateApiKey(name), OPERATOR)


async def _list(runtime: CliServices) -> Sequence[ApiKeyView]:
    async with runtime.use_cases() as use_cases:
        return await (await use_cases.get(Handler[ListApiKeys, Sequence[ApiKeyView]]))(ListApiKeys(), OPERATOR)


async def _revoke(runtime: CliServices, key_id: UUID) -> bool:
    async with runtime.use_cases() as use_cases:
        return await (await use_cases.get(Handler[RevokeApiKey, bool]))(RevokeApiKey(key_id), OPERATOR)


def _document(key: ApiKeyView) -> dict[str, object]:
    return {"id": key.id, "name": key.name, "created_at": key.created_at, "revoked_at": key.revoked_at}


def _row(key: ApiKeyView) -> tuple[str, str, str, str]:
    revoked = "" if key.revoked_at is None else instant(key.revoked_at)
    return str(key.id), key.name.replace("\n", " "), instant(key.created_at), revoked
