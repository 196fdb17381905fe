"""Whether the port is free, and whom to ask where it is not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from smp.bootstrap.port_check import PortUnavailable, listener_pid, reserve_port

LISTEN = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_a_free_port_is_reserved_against_others_and_open_to_our_workers() -> None:
    port = free_port()
    with reserve_port("127.0.0.1", port, "SMP_PORT"):
        with pytest.raises(PortUnavailable):
            reserve_port("127.0.0.1", port, "SMP_PORT")
        with socket.socket() as worker:
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            worker.bind(("127.0.0.1", port))
            worker.listen()
            with socket.create_connection(("127.0.0.1", port), timeout=2):
                worker.settimeout(2)
                worker.accept()[0].close()
    reserve_port("127.0.0.1", port, "SMP_PORT").close()


def test_a_port_in_use_names_the_process_and_what_to_do() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        with pytest.raises(PortUnavailable) as caught:
            reserve_port("127.0.0.1", port, "SMP_PORT")
        other.communicate("")
    told = str(caught.value)
    if sys.platform == "linux":
        assert told.startswith(f"port {port} is in use by process {other.pid} (python")
    assert told.endswith("end that process, or set SMP_PORT to another port")
    assert LISTEN.splitlines()[1] not in told, "arguments may hold secrets"


def test_a_port_shared_by_consent_is_in_use_all_the_same() -> None:
    """Granian's workers listen with SO_REUSEPORT, which would let a second service in silently."""
    with socket.socket() as worker:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(("127.0.0.1", 0))
        worker.listen()
        with pytest.raises(PortUnavailable, match="is in use"):
            reserve_port("127.0.0.1", worker.getsockname()[1], "SMP_PORT")


def test_an_address_that_is_not_ours_is_told() -> None:
    with pytest.raises(PortUnavailable, match=r"cannot listen at 192.0.2.1 port 8000: .*SMP_HOST"):
        reserve_port("192.0.2.1", 8000, "SMP_PORT")


def test_nobody_is_named_for_a_free_port_nor_is_this_process_itself() -> None:
    assert listener_pid(free_port()) is None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert listener_pid(listener.getsockname()[1]) != os.getpid()
