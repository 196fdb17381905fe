"""Running the examples as their pages say: programs at free ports, nginx, and packages of npm in a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.support.processes import wait_until

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
INSTALL_S: Final = 240.0
STOP_S: Final = 20.0
START_S: Final = 60.0
_SYSTEM: Final = "/usr/sbin:/sbin"
"""Where Debian installs nginx, which is not on every user's PATH."""


def program(*names: str) -> str:
    """Return the path of the first of these programs that is installed.

    Skips the test where none is; in CI on Linux, which must have one, the test fails.
    """
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM}"
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    if found is None:
        reason = f"{' or '.join(names)} is not installed"
        if os.environ.get("CI") and sys.platform == "linux":
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


def with_npm_packages(example: str, folder: Path) -> Path:
    """Copy an example into `folder` with its npm packages, as its lock file pins them; return the copy."""
    source = EXAMPLES / example
    copy = folder / example
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    shutil.copytree(npm_packages(source), copy / "node_modules", symlinks=True)  # Vite writes into it
    return copy


def npm_packages(source: Path) -> Path:
    """Return the `node_modules` for a lock file, installed once for each content of it, outside the checkout."""
    npm = program("npm")
    manifests = [source / "package.json", source / "package-lock.json"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in manifests)).hexdigest()[:16]
    caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "smp" / "examples"
    cache = caches / f"{source.name}-{digest}"
    if not cache.is_dir():
        caches.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=caches))
        for path in manifests:
            shutil.copy(path, fresh)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=fresh,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        try:
            fresh.rename(cache)
        except OSError:  # another run has installed the same packages
            shutil.rmtree(fresh)
    return cache / "node_modules"


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
