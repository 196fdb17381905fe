"""Whether the port is free, and who holds it where it is not."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

_LISTENING: Final = "0A"
"""TCP_LISTEN, as /proc/net/tcp writes it."""


class PortUnavailable(Exception):
    """The address cannot be listened at; the message says why, by whom where that can be found, and what to do."""


def reserve_port(host: str, port: int, variable: str) -> socket.socket:
    """Make sure that nobody listens there, and let nobody else begin to; answers the socket that does so until closed.

    The workers share the port by SO_REUSEPORT, which would let a second ``smp serve`` share it silently, too.

    Raises:
        PortUnavailable: where somebody does, or the address is not this machine's.
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
    held = socket.socket(family, socket.SOCK_STREAM)
    # Without SO_REUSEADDR, for two sockets that have it and do not listen yet do not exclude each other.
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    with suppress(OSError):  # connections of a program that was there before may linger; the port is free all the same
        held.bind(address)
    return held


def _explain(error: OSError, host: str, port: int, variable: str) -> str:
    if error.errno == errno.EADDRINUSE:
        pid = listener_pid(port)
        holder = "" if pid is None else f" by process {pid} ({_command(pid)})"
        return f"port {port} is in use{holder}; end that process, or set {variable} to another port"
    if error.errno == errno.EACCES:
        return f"port {port} may be used by root only; set {variable} to one from 1024 on"
    return f"cannot listen at {host} port {port}: {error.strerror or error}; set SMP_HOST to an address of this machine"


def resolved(host: str, port: int) -> tuple[str, int]:
    """The numeric address to listen at. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4]
    return str(found[0]), port


def listener_pid(port: int) -> int | None:
    """The process that listens at the TCP port; ``None`` where it cannot be seen (another user's, or not Linux)."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid() and _has_open(process, inodes):
            return _leader(int(process.name))
    return None


def _leader(pid: int) -> int:
    """The process that made ``pid`` as a copy of itself, as a server does with its workers; otherwise ``pid``."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        parent = int(status.rpartition(")")[2].split()[1])
        if parent > 1 and Path(f"/proc/{parent}/cmdline").read_bytes() == Path(f"/proc/{pid}/cmdline").read_bytes():
            return parent
    return pid


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
    return inodes


def _has_open(process: Path, targets: set[str]) -> bool:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return False
    for descriptor in descriptors:
        with suppress(OSError):
            if str(descriptor.readlink()) in targets:
                return True
    return False


def _command(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "unknown"
    # The program alone: arguments may hold secrets.
    words = command.split()
    return " ".join(Path(word).name for word in words[: 3 if words[1:2] == ["-m"] else 2])[:60] or "unknown"
