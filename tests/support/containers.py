"""Containers of the image that `make image` has built, run as in production: read-only, without privileges."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from tests.support.clients import Browser
from tests.support.processes import free_port, wait_until

START_S: Final = 60.0
STOP_S: Final = 40.0

_CONFINED: Final = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
# What podman does by itself and Docker does not: folders in memory that can be written to, and checks by systemd's
# timers. And an end for containers whose test was killed.
_AS_DOCKER: Final = ("--read-only-tmpfs=false", "--no-healthcheck", "--timeout=300")
_names: Final = count(1)


@dataclass(frozen=True, slots=True)
class Ended:
    """A container that has ended; ``output`` is all of its output."""

    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image, by its id, and its engine: ``docker`` or ``podman``."""

    engine: str
    id: str
    config: dict[str, Any] = field(repr=False)

    @staticmethod
    def of(engine: str, id_: str) -> Image:
        """Return the image of this id."""
        (found,) = json.loads(_answer(engine, "image", "inspect", id_))
        # podman has the health check beside the rest where Docker has it within.
        return Image(engine, id_, {"Healthcheck": found.get("Healthcheck"), **found["Config"]})

    def run(self, *arguments: str, options: Sequence[str] = _CONFINED, **environ: str) -> Ended:
        """Run the entry point with these arguments; ``options`` replace the usual confinement."""
        done = subprocess.run(
            [*self._command(_name(), options, environ), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=START_S,
            check=False,
        )
        return Ended(done.returncode, done.stdout)

    def python(self, program: str, *options: str) -> Ended:
        """Run a program with the interpreter of the image."""
        return self.run("-c", program, options=(*options, "--entrypoint=python"))

    @contextmanager
    def serving(self, folder: Path, *options: str, **environ: str) -> Iterator[Service]:
        """Run ``smp serve`` on loopback during the block."""
        name, port, log = _name(), free_port(), folder / "service.log"
        # The machine's own network, of which it may have loopback only.
        settings = {"SMP_HOST": "127.0.0.1", "SMP_PORT": str(port), **environ}
        command = self._command(name, (*_CONFINED, *options), settings)
        with log.open("wb") as words:
            process = subprocess.Popen(command, stdout=words, stderr=words, stdin=subprocess.DEVNULL)
        service = Service(self.engine, name, port, log, process)
        try:
            wait_until(lambda: service.is_ready() or process.poll() is not None, START_S)
            assert process.poll() is None, log.read_text()
            yield service
        finally:
            if process.poll() is None:
                subprocess.run([self.engine, "rm", "--force", name], check=False, capture_output=True)
                process.wait(STOP_S)

    def _command(self, name: str, options: Sequence[str], environ: dict[str, str]) -> list[str]:
        given = [f"--env={variable}={value}" for variable, value in environ.items()]
        ours = _AS_DOCKER if self.engine == "podman" else ()
        return [self.engine, "run", "--rm", f"--name={name}", "--network=host", *options, *ours, *given, self.id]


@dataclass(frozen=True, slots=True)
class Service:
    """``smp serve`` in a container; ``log`` is the file of its output."""

    engine: str
    name: str
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def is_ready(self) -> bool:
        """Return whether the service is ready."""
        try:
            with Browser(self.port, timeout_s=5) as browser:
                return browser.ask("GET", "/health/ready").status == 200
        except OSError:
            return False

    def execute(self, *command: str) -> Ended:
        """Run a command in the container."""
        done = subprocess.run(
            [self.engine, "exec", self.name, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START_S,
            check=False,
        )
        return Ended(done.returncode, done.stdout)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the first process of the container."""
        _answer(self.engine, "kill", f"--signal={number.name}", self.name)

    def wait(self) -> int:
        """Wait for the end, and return the exit code."""
        return self.process.wait(STOP_S)


def _name() -> str:
    return f"smp-image-{os.getpid()}-{next(_names)}"


def _answer(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=True).stdout
