"""The worker processes of Granian, and the metrics that they share."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import structlog

from smp.bootstrap.logging import logging_config
from smp.bootstrap.port_check import reserve_port, resolved
from smp.bootstrap.settings import Settings
from smp.bootstrap.signals import reset_stops_in_children

CONNECTIONS_MAX: Final = 4_096
"""Connections that a worker has at once, most of them idle; further ones wait in the kernel's queue."""

CONNECTIONS_WAITING_MAX: Final = 4_096
FILES_RESERVED: Final = 512
"""File descriptors of a worker that are not for connections of clients: its database, its log, its modules."""

HEAD_BYTES_MAX: Final = 32 * 1024
"""The most bytes before a body: more than the application accepts, so that it answers with a problem.

Beyond, Granian answers 431 without a body.
"""

METRICS_FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"

_log = structlog.stdlib.get_logger("smp.serve")


class WorkersFailed(Exception):
    """The workers could not be kept running; the log has the reason."""


def share_metrics(stack: ExitStack, settings: Settings) -> None:
    """Create the folder in which several workers share their metrics, and serve the separate port for metrics."""
    if settings.workers == 1 and settings.metrics_port is None:
        return
    # Before the client library is imported, because it reads the variable once, at its import.
    folder = tempfile.mkdtemp(prefix="smp-metrics-")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    os.environ[METRICS_FOLDER_VARIABLE] = folder
    stack.callback(os.environ.pop, METRICS_FOLDER_VARIABLE, None)
    if settings.metrics_port is not None:
        _serve_metrics(stack, settings.host, settings.metrics_port, Path(folder))


def _serve_metrics(stack: ExitStack, host: str, port: int, folder: Path) -> None:
    from prometheus_client import start_http_server  # noqa: PLC0415 - see above

    from smp.adapters.prometheus.workers import shared_registry  # noqa: PLC0415

    stack.enter_context(reserve_port(host, port, "SMP_METRICS_PORT")).close()
    server, thread = start_http_server(port, addr=host, registry=shared_registry(folder))
    # A worker that outlives this process must not keep the port.
    os.register_at_fork(after_in_child=server.socket.close)
    stack.callback(thread.join, 5)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)


def connections_max() -> int:
    """Raise the limit of open files as far as allowed and needed; return how many connections a worker can have."""
    wanted = CONNECTIONS_MAX + FILES_RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft)
    if allowed < wanted:
        _log.warning("the limit of open files is low (ulimit -n)", limit=allowed, needed=wanted)
    return max(allowed - FILES_RESERVED, allowed // 2)


def run_workers(settings: Settings) -> None:
    """Run the workers until SIGTERM or SIGINT; then let them finish their requests. Raises WorkersFailed."""
    from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes  # noqa: PLC0415 - needed here only
    from granian.http import HTTP1Settings  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415
    from granian.server import Server  # noqa: PLC0415

    if sys.platform == "linux":
        # Workers are copies of this process. From Python 3.14 on they would not be by default: they would lack
        # what a copy inherits (register_at_fork, the socket that reserves the port), and need twice the memory.
        multiprocessing.set_start_method("fork", force=True)
    server = Server(
        "smp.bootstrap.http:create_app",
        factory=True,
        address=resolved(settings.host, settings.port)[0],
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        runtime_mode=RuntimeModes.st,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=CONNECTIONS_WAITING_MAX,
        # Granian counts connections. Requests are limited by the areas of the application.
        backpressure=connections_max(),
        # One timer: from the last response to the end of the next request's headers.
        http1_settings=HTTP1Settings(header_read_timeout=settings.keep_alive_s * 1_000, max_buffer_size=HEAD_BYTES_MAX),
        log_level=LogLevels.warning,
        log_dictconfig=logging_config(settings.log_format, settings.log_level),
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=settings.shutdown_grace_s,
    )
    reset_stops_in_children()
    try:
        server.serve()
    except SystemExit as ended:
        # After a stop, Granian also exits with an error if Ctrl-C ended a worker that had no handlers yet.
        if ended.code and not server.interrupt_signal:
            raise WorkersFailed("the workers ended by themselves; the lines above say why") from ended
    _log.info("stopped")
