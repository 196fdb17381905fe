"""The programs that the steps call."""

from __future__ import annotations

import shutil
import subprocess

from delivery.failures import StepFailed

TIMEOUT_S = 300.0


def output(*command: str) -> str:
    """What the program writes, without the white space around it; its complaints go where ours go.

    Raises:
        StepFailed: the program is not there, fails, or takes longer than five minutes.
    """
    if shutil.which(command[0]) is None:
        raise StepFailed(f"{command[0]} is not on the PATH")
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=True)
    except subprocess.CalledProcessError as error:
        raise StepFailed(f"exit code {error.returncode}: {' '.join(command)}") from error
    except subprocess.TimeoutExpired as error:
        raise StepFailed(f"no end after {TIMEOUT_S:.0f} s: {' '.join(command)}") from error
    return done.stdout.strip()
