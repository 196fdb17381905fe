"""The README's tour works as written, in both languages: its commands are run, all of them, against a real process."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 60.0
TOUR_LIMIT_S = 120.0
ADMIN_EMAIL = "admin@example.com"
ADMIN_PASSWORD = "the password that make run showed"


def commands(readme: str) -> str:
    """The shell commands of the tour, in order."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """A server of its own with its own embedded PostgreSQL; gives the environment that it runs in."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SMP_")} | {
        "SMP_DATA_DIR": str(folder / "data"),
        "SMP_PORT": str(port),
        "SMP_ADMIN_EMAIL": ADMIN_EMAIL,
        "SMP_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "PYTHONPATH": str(ROOT / "src"),
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "smp.bootstrap", "serve"], env=environment, cwd=folder, stdout=output, stderr=output
        )
    try:
        wait_until_ready(port, process, log)
        yield environment
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, log.read_text()


def wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the server did not become ready:\n{log.read_text()}")


@pytest.fixture
def folder() -> Iterator[Path]:
    # A short path: the embedded server's socket lies below it.
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="smp-tour-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing, which the tour is written for")
@pytest.mark.parametrize("readme", ["README.md", "README.ru.md"])
def test_every_command_of_the_tour_does_what_the_text_says(readme: str, folder: Path) -> None:
    """Each kind of caller gets the answers that the tour promises, and `smp doctor` has nothing to say."""
    script = commands(readme)
    with served(folder) as environment:
        launcher = folder / ".venv" / "bin" / "smp"
        launcher.parent.mkdir(parents=True)
        launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -m smp.bootstrap "$@"\n')
        launcher.chmod(0o755)
        script = script.replace("127.0.0.1:8000", f"127.0.0.1:{environment['SMP_PORT']}")
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", script],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=TOUR_LIMIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "problems" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0].startswith('{"id":')
    assert '"role":"admin"' in lines[0]
    assert '"feature":"seats","allowed":true,"value":5,"reason":"granted"' in done.stdout
    assert '"feature":"teleport","allowed":false,"value":null,"reason":"feature_not_in_plan"' in done.stdout
    paid = [line for line in lines if '"status":"active"' in line and '"cancel_at":null' in line]
    assert paid[0] == paid[1], "the same key gives the same answer"
    assert '"revision":2,"price":{"amount":2490' in done.stdout
    assert '"feature":"export","allowed":true' in done.stdout
    assert done.stdout.rstrip().endswith("Nothing is wrong.")


def test_both_languages_show_the_same_commands() -> None:
    assert commands("README.md") == commands("README.ru.md")
