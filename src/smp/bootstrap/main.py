"""The entry point of ``smp``."""

from __future__ import annotations

import os
import signal
import sys
from asyncio import CancelledError

from smp.adapters.cli.program import run_program
from smp.bootstrap.runtime import ProcessServices
from smp.bootstrap.signals import EXIT_TERMINATED, Terminated, signal_again, terminate


def main() -> None:
    """Run the command that the arguments name, then end the process."""
    signal.signal(signal.SIGTERM, terminate)
    sys.unraisablehook = signal_again
    try:
        code = run_program(ProcessServices(os.environ), sys.argv[1:])
    except (Terminated, CancelledError):
        code = EXIT_TERMINATED
    sys.exit(code)
