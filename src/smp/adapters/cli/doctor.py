"""``smp doctor``."""

from __future__ import annotations

import asyncio

import rich_click as click

from smp.adapters.cli.output import counted, finding_document, print_findings, print_json, print_line
from smp.adapters.cli.runtime import CliServices


def doctor_command(runtime: CliServices) -> click.Command:
    """The command over this runtime."""

    @click.command("doctor")
    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    @click.pass_context
    def doctor(context: click.RichContext, *, as_json: bool) -> None:
        """Look for what is wrong, and say what to do: settings, database, migrations, and the invariants of the data.

        Changes nothing. Exit code 1 where anything is wrong.
        """
        findings = asyncio.run(runtime.diagnose())
        wrong = sum(not check_result.ok for check_result in findings)
        if as_json:
            print_json({"ok": not wrong, "findings": [finding_document(check_result) for check_result in findings]})
        else:
            print_findings(findings)
            print_line(f"{counted(wrong, 'thing')} wrong." if wrong else "Nothing is wrong.")
        context.exit(1 if wrong else 0)

    return doctor
