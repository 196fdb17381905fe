"""``smp restore``."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from time import monotonic

import rich_click as click

from smp.adapters.cli.output import (
    byte_progress,
    check_document,
    counted,
    print_check_results,
    print_json,
    print_line,
)
from smp.adapters.cli.runtime import CliServices, RestoreOutcome


def restore_command(runtime: CliServices) -> click.Command:
    """Return the command ``restore``."""

    @click.command("restore")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @click.pass_context
    def restore(context: click.RichContext, file: Path, *, as_json: bool) -> None:
        """Write FILE, a backup by smp backup, into an empty database: one without tables.

        It is one transaction: if it fails or is stopped, the database stays empty. A backup with an older schema is
        migrated afterwards. Ends with the checks of smp doctor; exit code 1 if one of them fails.
        """
        started = monotonic()
        with byte_progress("Restoring the backup", hidden=as_json) as progress:
            outcome = asyncio.run(runtime.restore(file, progress))
        wrong = sum(not result.ok for result in outcome.findings)
        _report(outcome, monotonic() - started, wrong, as_json=as_json)
        context.exit(1 if wrong else 0)

    return restore


def _report(outcome: RestoreOutcome, elapsed_s: float, wrong: int, *, as_json: bool) -> None:
    if as_json:
        findings = [check_document(result) for result in outcome.findings]
        document = asdict(outcome) | {"findings": findings, "elapsed_s": round(elapsed_s, 3)}
        print_json({"ok": not wrong, **document})
        return
    print_check_results(outcome.findings)
    counts = f"{counted(outcome.users, 'user')} and {counted(outcome.subscriptions, 'subscription')}"
    migrated = f", {counted(len(outcome.applied), 'migration')} applied" if outcome.applied else ""
    checked = f"{counted(wrong, 'check')} failed" if wrong else "all checks passed"
    print_line(f"{counts} restored in {elapsed_s:.1f} s{migrated}; {checked}.")
