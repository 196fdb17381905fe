"""``smp import``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from time import monotonic

import rich_click as click

from smp.adapters.cli.export import STANDARD_STREAM
from smp.adapters.cli.output import counted, print_json, print_line
from smp.adapters.cli.runtime import ImportOutcome, Runtime
from smp.adapters.cli.transfer import document, progress_bar, told


def import_command(runtime: Runtime) -> click.Command:
    """The command over this runtime."""

    @click.command("import")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    def import_(file: Path, *, as_json: bool) -> None:
        """Put all data of FILE, which smp export has written, into an empty database; - is standard input.

        The whole file is looked at before anything is written. Where it is stopped, the same command goes on from
        there; where all is there already, it changes nothing. Run smp doctor afterwards.
        """
        if file == STANDARD_STREAM and sys.stdin.isatty():
            raise click.UsageError("standard input is a terminal; redirect it, or give a file")
        source = sys.stdin.buffer if file == STANDARD_STREAM else file
        started = monotonic()
        with progress_bar(hidden=as_json) as progress:
            outcome = asyncio.run(runtime.import_data(source, progress))
        _report(outcome, monotonic() - started, as_json=as_json)

    return import_


def _report(outcome: ImportOutcome, elapsed_s: float, *, as_json: bool) -> None:
    if as_json:
        done = {"written": outcome.written, "resumed_at": outcome.resumed_at, "elapsed_s": round(elapsed_s, 3)}
        about = {"schema": outcome.schema, "exported_at": outcome.exported_at}
        print_json({**about, **document(outcome.summary), **done})
    elif not outcome.written:
        print_line(f"{told(outcome.summary)} are there already; nothing was changed.")
    else:
        resumed = f", resumed after line {outcome.resumed_at:,}" if outcome.resumed_at else ""
        print_line(
            f"{counted(outcome.written, 'row')} of {told(outcome.summary)} written in {elapsed_s:.1f} s{resumed}."
            " Now run smp doctor."
        )
