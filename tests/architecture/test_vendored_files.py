"""The vendored files are unchanged."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "src/smp/adapters/http/documentation/static"


def test_every_vendored_file_has_the_digest_in_the_readme() -> None:
    listed = dict(re.findall(r"^\| (\S+) \| ([0-9a-f]{64}) \|$", (STATIC / "README.md").read_text(), re.MULTILINE))
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in STATIC.glob("swagger-ui*")}
    assert found == listed
