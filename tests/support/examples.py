"""Running the examples as their pages say: programs at free ports, behind nginx where the page has a configuration."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.support.processes import wait_until

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
STOP_S: Final = 20.0
START_S: Final = 60.0
_SYSTEM: Final = "/usr/sbin:/sbin"
"""Where Debian installs nginx, which is not on every user's PATH."""


def program(name: str) -> str:
    """Return the path of a program. Skips the test where it is missing; in CI, which must have it, the test fails."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM}")
    if found is None:
        reason = f"{name} is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def running(command: Sequence[str], port: int, folder: Path, environ: Mapping[str, str], cwd: Path) -> Iterator[None]:
    """Run a server that listens at `port`, until the block ends; its output is in `folder`."""
    log = folder / f"{Path(command[0]).name}-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environ, cwd=cwd, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    try:
        wait_until(lambda: _is_listening(port) or process.poll() is not None, START_S)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


@contextmanager
def nginx(config: Path, replacements: Mapping[str, str], port: int, folder: Path) -> Iterator[None]:
    """Run nginx with a configuration of the examples, with the test's ports and folders in place of its own."""
    text = config.read_text(encoding="utf-8")
    for shown, actual in replacements.items():
        assert shown in text, f"{config} does not contain {shown}"
        text = text.replace(shown, actual)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    written = folder / "nginx.conf"
    written.write_text(text.replace("http {\n", f"http {{\n    access_log off;\n{temporary}", 1), encoding="utf-8")
    directives = f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;"
    command = [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(written), "-g", directives]
    with running(command, port, folder, os.environ, folder):
        yield


def _is_listening(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
