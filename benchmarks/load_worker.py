"""The load generator for machines without wrk: connections that each have one request at a time.

Run as ``python -m benchmarks.load_worker PORT PATH COOKIES SECONDS``. It prints the same JSON as the script for wrk.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Final

import uvloop

from benchmarks.load import CONNECTIONS

_SUCCESS: Final = b"HTTP/1.1 200"
_LENGTH: Final = b"content-length:"


class _Asker:
    def __init__(self, requests: list[bytes], until: float) -> None:
        self._requests = cycle(requests)
        self._until = until
        self.latencies_s: list[float] = []
        self.failed = 0

    async def run(self, port: int) -> None:
        """Send requests on one connection until the time is over."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (asked_at := perf_counter()) < self._until:
            writer.write(next(self._requests))
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(line[len(_LENGTH) :]) for line in lines if line.startswith(_LENGTH))
            await reader.readexactly(length)
            self.failed += not head.startswith(_SUCCESS)
            self.latencies_s.append(perf_counter() - asked_at)
        writer.close()
        await writer.wait_closed()


async def _ask(port: int, path: str, cookies: list[str], seconds: float) -> None:
    requests = [f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncookie: {cookie}\r\n\r\n".encode() for cookie in cookies]
    started = perf_counter()
    asker = _Asker(requests, started + seconds)
    await asyncio.gather(*(asker.run(port) for _ in range(CONNECTIONS)))
    elapsed_s = perf_counter() - started
    hundredths = quantiles(asker.latencies_s, n=100)
    result = {
        "requests": len(asker.latencies_s),
        "elapsed_us": elapsed_s * 1e6,
        "failed": asker.failed,
        "p50_us": hundredths[49] * 1e6,
        "p99_us": hundredths[98] * 1e6,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    _port, _path, _file, _seconds = sys.argv[1:]
    uvloop.run(_ask(int(_port), _path, Path(_file).read_text(encoding="ascii").split("\n")[:-1], float(_seconds)))
