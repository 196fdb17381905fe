"""A client program that runs, and never outlives the command that started it."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from smp.adapters.postgres_tools.errors import BackupError

STREAM_LIMIT_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class RunningProgram:
    """One run of a client program."""

    name: str
    process: Process
    errors: IO[bytes]

    async def finish(self, what: str) -> None:
        """Wait for its end. Raises BackupError, which begins with ``what``, if the program failed."""
        if code := await self.process.wait():
            raise BackupError(f"{what}: {self.name} {self._said() or f'ended with exit code {code}'}")

    def _said(self) -> str:
        """Return its first error. Details are left out: they may contain values of rows."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").splitlines()
        said = next((line for line in lines if "error: " in line.lower() or "FATAL: " in line), "")
        return f"said {said.partition(': ')[2].strip()!r}" if said else ""


@asynccontextmanager
async def running(
    program: Path, *arguments: str, environ: Mapping[str, str], stdin: int, stdout: int | None
) -> AsyncIterator[RunningProgram]:
    """Run the program in the block, and kill it if it has not ended by then. Raises OSError if it cannot start."""
    with TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=environ,
            stdin=stdin,
            stdout=stdout,
            stderr=errors,
            limit=STREAM_LIMIT_BYTES,
            # Ctrl-C in a terminal reaches this process only, which then kills the program and cleans up.
            start_new_session=True,
        )
        try:
            yield RunningProgram(program.name, process, errors)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
