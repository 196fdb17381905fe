"""The port is checked and reserved before anything starts."""

from __future__ import annotations

import socket

import pytest

from smp.bootstrap.port_check import PortUnavailable, reserve_port


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_a_reserved_port_is_closed_to_other_programs_and_open_to_the_workers() -> None:
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


def test_a_port_in_use_is_refused_with_the_setting_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortUnavailable) as caught:
            reserve_port("127.0.0.1", port, "SMP_PORT")
    assert str(caught.value) == f"port {port} is in use; set SMP_PORT to another port"


def test_a_port_that_another_service_would_share_is_refused() -> None:
    """Granian's workers listen with SO_REUSEPORT, which would let a second service share the port."""
    with socket.socket() as worker:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(("127.0.0.1", 0))
        worker.listen()
        with pytest.raises(PortUnavailable, match="is in use"):
            reserve_port("127.0.0.1", worker.getsockname()[1], "SMP_PORT")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(PortUnavailable, match=r"cannot listen on 192.0.2.1 port 8000: .*SMP_HOST"):
        reserve_port("192.0.2.1", 8000, "SMP_PORT")
