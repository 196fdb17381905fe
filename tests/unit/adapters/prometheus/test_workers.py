"""The metrics of several worker processes, read from their shared folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client import generate_latest

from smp.adapters.prometheus.workers import FOLDER_VARIABLE, shared_registry

COUNT_ONE = "from prometheus_client import Counter; Counter('served', 'Served requests.').inc()"


def test_a_scrape_skips_the_file_that_a_worker_is_creating(tmp_path: Path) -> None:
    """The file is empty until its first block is written."""
    environ = {**os.environ, FOLDER_VARIABLE: str(tmp_path)}
    subprocess.run([sys.executable, "-c", COUNT_ONE], env=environ, check=True)
    for kind in ("counter", "histogram", "gauge_livesum"):
        (tmp_path / f"{kind}_{os.getpid()}.db").touch()
    assert b"served_total 1.0" in generate_latest(shared_registry(tmp_path))
