"""The load generator: wrk if it is installed, otherwise a Python process."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import processes

CONNECTIONS: Final = 32

# The requests are prepared before the measurement starts, each with another session.
_LUA: Final = """
local requests = {}
local at = 0
function init(args)
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", args[2], {["Cookie"] = line, ["Connection"] = "keep-alive"})
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\\n{"requests": %d, "elapsed_us": %d, "failed": %d, "p50_us": %d, "p99_us": %d}\\n',
    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one round: requests, seconds, and response times in milliseconds."""

    requests: int
    elapsed_s: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.elapsed_s


def loader() -> str:
    """Return the name of the load generator, as the page has it."""
    return (
        f"wrk, {CONNECTIONS} connections"
        if shutil.which("wrk")
        else f"a Python load generator, {CONNECTIONS} connections"
    )


def ask(port: int, path: str, cookies: Sequence[str], seconds: float) -> Load:
    """Send requests for so many seconds, with each cookie in turn.

    Raises:
        Failed: if an answer was not a success.
    """
    with tempfile.TemporaryDirectory(prefix="smp-bench-") as name:
        folder = Path(name)
        (folder / "cookies").write_text("\n".join(cookies) + "\n", encoding="ascii")
        (folder / "ask.lua").write_text(_LUA, encoding="ascii")
        command = _command(folder, port, path, seconds)
        done = processes.run(command, processes.environment(), folder / "log")
    result = json.loads(done.output.strip().splitlines()[-1])
    if result["failed"] or not result["requests"]:
        raise processes.Failed(f"{result['failed']} of {result['requests']} answers for {path} were not a success")
    return Load(result["requests"], result["elapsed_us"] / 1e6, result["p50_us"] / 1e3, result["p99_us"] / 1e3)


def _command(folder: Path, port: int, path: str, seconds: float) -> list[str]:
    cookies = str(folder / "cookies")
    wrk = shutil.which("wrk")
    if wrk is None:
        return [sys.executable, "-m", "benchmarks.load_worker", str(port), path, cookies, str(seconds)]
    url = f"http://127.0.0.1:{port}"
    whole = f"{max(round(seconds), 1)}s"
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{whole}", "-s", str(folder / "ask.lua")]
    return [wrk, *options, url, "--", cookies, path]
