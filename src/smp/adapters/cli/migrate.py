"""``smp migrate``."""

from __future__ import annotations

import asyncio

import rich_click as click

from smp.adapters.cli.output import counted, print_json, print_line
from smp.adapters.cli.runtime import CliServices, MigrationOutcome, SchemaState


def migrate_command(runtime: CliServices) -> click.Command:
    """The command over this runtime."""

    @click.command("migrate")
    @click.option("--check", is_flag=True, help="Only say whether it is up to date; exit code 1 where it is not.")
    @click.option("--sql", is_flag=True, help="Only print the statements that make the whole schema.")
    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    @click.pass_context
    def migrate(context: click.RichContext, *, check: bool, sql: bool, as_json: bool) -> None:
        """Bring the database's schema to this version.

        Many at once are fine: one migrates, the others wait for it.
        """
        if check and sql:
            raise click.UsageError("--check and --sql exclude each other")
        if sql:
            script = runtime.migration_sql()
            print_json({"sql": script}) if as_json else print_line(script)
        elif check:
            state = asyncio.run(runtime.schema_state())
            _report_check(state, as_json=as_json)
            context.exit(0 if state.is_current else 1)
        else:
            _report(asyncio.run(runtime.migrate()), as_json=as_json)

    return migrate


def _report_check(state: SchemaState, *, as_json: bool) -> None:
    if as_json:
        print_json({"up_to_date": state.is_current, "current": state.current, "head": state.head})
    elif state.is_current:
        print_line(f"up to date, at {state.head}")
    else:
        print_line(f"the schema is at {state.current or 'nothing'}, this version needs {state.head}: run smp migrate")


def _report(outcome: MigrationOutcome, *, as_json: bool) -> None:
    head = outcome.before.head
    if as_json:
        print_json({"applied": list(outcome.applied), "before": outcome.before.current, "current": head})
    elif outcome.applied:
        print_line(f"{counted(len(outcome.applied), 'migration')} applied: {', '.join(outcome.applied)}; at {head}")
    else:
        print_line(f"nothing to apply, at {head}")
