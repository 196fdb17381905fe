"""``smp doctor``."""

from __future__ import annotations

import asyncio

import rich_click as click

from smp.adapters.cli.output import check_document, counted, print_check_results, print_json, print_line
from smp.adapters.cli.runtime import CliServices


def doctor_command(runtime: CliServices) -> click.Command:
    """Return the command ``doctor``."""

    @click.command("doctor")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @click.pass_context
    def doctor(context: click.RichContext, *, as_json: bool) -> None:
        """Check the settings, the database, its migrations and the invariants of its data; say how to repair each.

        Changes nothing. Exit code 1 if a check fails.
        """
        results = asyncio.run(runtime.diagnose())
        failed = sum(not result.ok for result in results)
        if as_json:
            print_json({"ok": not failed, "findings": [check_document(result) for result in results]})
        else:
            print_check_results(results)
            print_line(f"{counted(failed, 'check')} failed." if failed else "Nothing is wrong.")
        context.exit(1 if failed else 0)

    return doctor
