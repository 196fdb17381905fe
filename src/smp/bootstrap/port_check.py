"""Checking that a port is free, and reserving it for the workers."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress


class PortUnavailable(Exception):
    """The program cannot listen on the address; the message says why and what to do."""


def reserve_port(host: str, port: int, variable: str) -> socket.socket:
    """Check that no program listens on the port, and keep others from it until the returned socket is closed.

    The workers share the port by SO_REUSEPORT. Without the reservation a second ``smp serve`` would share it as well.

    Raises:
        PortUnavailable: if the port is in use, or the address is not one of this machine. The message names
            ``variable``, the setting of the port.
    """
    try:
        address = resolved(host, port)
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise PortUnavailable(_explain(error, host, port, variable)) from error
    reservation = socket.socket(family, socket.SOCK_STREAM)
    # Without SO_REUSEADDR: two sockets that both have it, and do not listen yet, do not exclude each other.
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    with suppress(OSError):  # connections of an earlier program may still be closing; the port is free nevertheless
        reservation.bind(address)
    return reservation


def _explain(error: OSError, host: str, port: int, variable: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; set {variable} to another port"
    if error.errno == errno.EACCES:
        return f"only root may use port {port}; set {variable} to 1024 or more"
    return f"cannot listen on {host} port {port}: {error.strerror or error}; set SMP_HOST to an address of this machine"


def resolved(host: str, port: int) -> tuple[str, int]:
    """Return the numeric address of a host, with the port. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4]
    return str(found[0]), port
