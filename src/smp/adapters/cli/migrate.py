"""``smp migrate``."""

from __future__ import annotations

import asyncio

import rich_click as click

from smp.adapters.cli.output import counted, print_json, print_line
from smp.adapters.cli.runtime import CliServices, MigrationOutcome, SchemaState


def migrate_command(runtime: CliServices) -> click.Command:
    """Return the command ``migrate``."""

    @click.command("migrate")
    @click.option("--check", is_flag=True, help="Only check if the schema is up to date; exit code 1 if it is not.")
    @click.option("--sql", is_flag=True, help="Only print the SQL statements that create the whole schema.")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @click.pass_context
    def migrate(context: click.RichContext, *, check: bool, sql: bool, as_json: bool) -> None:
        """Migrate the database's schema to this version of SMP.

        Several of these commands can run at once: one of them migrates, and the others wait for it.
        """
        if check and sql:
            raise click.UsageError("--check and --sql cannot be used together; choose one")
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
    elif state.is_newer:
        print_line(f"nothing to apply: {_newer(state)}")
    else:
        current = f"the schema is at {state.current}" if state.current else "the database has no schema yet"
        print_line(f"{current}, and this version needs {state.head}: run smp migrate")


def _report(outcome: MigrationOutcome, *, as_json: bool) -> None:
    before, head = outcome.before, outcome.before.head
    if as_json:
        current = before.current if before.is_newer else head
        print_json({"applied": list(outcome.applied), "before": before.current, "current": current})
    elif before.is_newer:
        print_line(f"nothing to apply: {_newer(before)}")
    elif outcome.applied:
        print_line(f"{counted(len(outcome.applied), 'migration')} applied: {', '.join(outcome.applied)}; at {head}")
    else:
        print_line(f"nothing to apply, at {head}")


def _newer(state: SchemaState) -> str:
    return f"the schema is at {state.current}, newer than this version, which needs {state.head}"
