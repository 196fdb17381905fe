"""``smp backup``."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from time import monotonic

import rich_click as click

from smp.adapters.cli.output import byte_progress, counted, print_json, print_line, print_notice
from smp.adapters.cli.runtime import BackupOutcome, CliServices


def backup_command(runtime: CliServices) -> click.Command:
    """Return the command ``backup``."""

    @click.command("backup")
    @click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
    @click.option("--force", is_flag=True, help="Replace FILE if it exists.")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def backup(file: Path, *, force: bool, as_json: bool) -> None:
        """Write a backup of the database to FILE, for smp restore; - is standard output.

        The backup shows the database at one instant. The service keeps running. FILE contains personal data and
        password hashes: only its owner may read it. It is an archive of PostgreSQL's pg_dump.
        """
        to_stdout = file == Path("-")
        _refuse(file, to_stdout=to_stdout, force=force, as_json=as_json)
        started = monotonic()
        with byte_progress("Writing the backup", hidden=as_json) as progress:
            outcome = asyncio.run(runtime.back_up(None if to_stdout else file, progress))
        elapsed_s = monotonic() - started
        if as_json:
            print_json({"file": str(file), **asdict(outcome), "elapsed_s": round(elapsed_s, 3)})
        elif to_stdout:
            print_notice(f"{_summary(outcome)} backed up in {elapsed_s:.1f} s")
        else:
            print_line(f"{_summary(outcome)} backed up to {file} in {elapsed_s:.1f} s")

    return backup


def _refuse(file: Path, *, to_stdout: bool, force: bool, as_json: bool) -> None:
    if not to_stdout:
        if file.exists() and not force:
            raise click.UsageError(f"{file} already exists; choose another name, or add --force")
        if not file.absolute().parent.is_dir():
            raise click.UsageError(f"{file.absolute().parent} is not a folder")
    elif as_json:
        raise click.UsageError("--json and - both write to standard output; give a file, or leave --json out")
    elif sys.stdout.isatty():
        raise click.UsageError("standard output is a terminal, and a backup is secret; redirect it, or give a file")


def _summary(outcome: BackupOutcome) -> str:
    size = "" if outcome.size_bytes is None else f"{outcome.size_bytes:,} bytes, "
    counts = f"{counted(outcome.users, 'user')}, {counted(outcome.subscriptions, 'subscription')}"
    return f"{size}{counts}, schema {outcome.schema}"
