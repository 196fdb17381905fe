"""``smp export``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from time import monotonic
from typing import Final

import rich_click as click

from smp.adapters.cli.output import print_json, print_line, print_notice
from smp.adapters.cli.runtime import ExportOutcome, Runtime
from smp.adapters.cli.transfer import document, progress_bar, told

STANDARD_STREAM: Final = Path("-")
"""As a file's name: standard output, or standard input."""


def export_command(runtime: Runtime) -> click.Command:
    """The command over this runtime."""

    @click.command("export")
    @click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
    @click.option("--gzip", "packed", is_flag=True, help="Compress it; a FILE that ends in .gz is compressed anyway.")
    @click.option("--force", is_flag=True, help="Put it in the place of a FILE that is there.")
    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    def export(file: Path, *, packed: bool, force: bool, as_json: bool) -> None:
        """Write all data to FILE, for smp import to put them into another database; - is standard output.

        They are as of one instant, whatever goes on meanwhile, and nothing is changed. FILE holds password hashes and
        the digests of keys and sessions: only its owner may read it, and so keep it.
        """
        _refuse(file, force=force, as_json=as_json)
        destination = sys.stdout.buffer if file == STANDARD_STREAM else file
        started = monotonic()
        with progress_bar(hidden=as_json) as progress:
            work = runtime.export_data(destination, packed=packed or file.suffix == ".gz", progress=progress)
            outcome = asyncio.run(work)
        _report(file, outcome, monotonic() - started, as_json=as_json)

    return export


def _refuse(file: Path, *, force: bool, as_json: bool) -> None:
    if file != STANDARD_STREAM:
        if file.exists() and not force:
            raise click.UsageError(f"{file} is there already; take another name, or add --force")
        if not file.absolute().parent.is_dir():
            raise click.UsageError(f"{file.absolute().parent} is no folder")
    elif as_json:
        raise click.UsageError("--json writes to standard output as - does; give a file, or leave --json out")
    elif sys.stdout.isatty():
        raise click.UsageError("standard output is a terminal, and the data are secret; redirect it, or give a file")


def _report(file: Path, outcome: ExportOutcome, elapsed_s: float, *, as_json: bool) -> None:
    if as_json:
        told_by = {"file": str(file), "schema": outcome.schema, "exported_at": outcome.exported_at}
        print_json({**told_by, **document(outcome.summary), "elapsed_s": round(elapsed_s, 3)})
    elif file == STANDARD_STREAM:
        sys.stdout.flush()
        print_notice(f"{told(outcome.summary)} exported in {elapsed_s:.1f} s")
    else:
        print_line(f"{told(outcome.summary)} exported to {file} in {elapsed_s:.1f} s")
