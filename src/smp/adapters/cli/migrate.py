"""``smp migrate``."""

from __future__ import annotations

import asyncio

import rich_click as click

from smp.adapters.cli.output import counted, print_json, print_line
from smp.adapters.cli.runtime import Runtime, SchemaState


def migrate_command(runtime: Runtime) -> click.Command:
    """The command over this runtime."""

    @click.command("migrate")
    @click.option("--check", is_flag=True, help="Only say whether the schema is up to date; exit code 1 where it is not.")
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
            context.exit(1 if state.pending else 0)
        else:
            _report(asyncio.run(runtime.migrate()), as_json=as_json)

    return migrate


def _report_check(state: SchemaState, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "up_to_date": not state.pending,
                "current": state.current,
                "head": state.head,
                "pending": list(state.pending),
            }
        )
    elif state.pending:
        print_line(f"{counted(len(state.pending), 'migration')} to apply: {', '.join(state.pending)}; run smp migrate")
    else:
        print_line(f"up to date, at {state.head}")


def _report(before: SchemaState, *, as_json: bool) -> None:
    if as_json:
        print_json({"applied": list(before.pending), "before": before.current, "current": before.head})
    elif before.pending:
        print_line(f"{counted(len(before.pending), 'migration')} applied: {', '.join(before.pending)}; at {before.head}")
    else:
        print_line(f"nothing to apply, at {before.head}")
