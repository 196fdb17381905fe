"""The pages of the documentation: their commands, the output they show, and the files they include; the alerts."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
SCRIPT_LIMIT_S: Final = 120.0
ADDRESS: Final = "127.0.0.1:8000"
"""The service's address in the commands of every page."""

PRODUCT_ADDRESS: Final = "127.0.0.1:9002"
"""The product's address in the commands of the quickstarts."""

ADMIN_EMAIL: Final = "admin@localhost"
ADMIN_PASSWORD: Final = "the password that make run showed"

PROMETHEUS_RULE_FILE: Final = ROOT / "k8s" / "components" / "monitoring" / "alerts.yaml"
_PROMETHEUS_RULE: Final = """\
# Written by `make docs` from observability/prometheus/rules.yml. Change that file.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: smp
  labels:
    app.kubernetes.io/name: smp
spec:
  groups:
"""

_INCLUDED: Final = re.compile(r"(<!-- file: (\S+) -->\n```\w+\n)(.*?)(^```$)", re.DOTALL | re.MULTILINE)
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def included_files(page: str) -> Iterator[tuple[str, str]]:
    """Yield each included file: its path in the repository, and its text in the page."""
    return ((match[2], match[3]) for match in _INCLUDED.finditer(page))


def with_included_files(page: str) -> str:
    """Return the page with the present text of each included file."""
    return _INCLUDED.sub(lambda match: match[1] + (ROOT / match[2]).read_text(encoding="utf-8") + match[4], page)


def commands(page: str) -> str:
    """Return the commands of a page as one script: its `sh` blocks, and its `python` blocks run by this Python."""
    blocks = _BLOCK.findall(_INCLUDED.sub("", page))
    return "\n".join(
        text if language == "sh" else f"{sys.executable} - <<'END_OF_PYTHON'\n{text}END_OF_PYTHON\n"
        for language, text in blocks
        if language in {"sh", "python"}
    )


def shown_output(page: str) -> Sequence[re.Pattern[str]]:
    """Return a pattern for each line of the output that a page shows, in order; `…` stands for any text."""
    blocks = _BLOCK.findall(_INCLUDED.sub("", page))
    lines = [line for language, text in blocks if language in {"json", "text"} for line in text.splitlines()]
    return [re.compile(re.escape(line).replace("…", ".*")) for line in lines]


def missing_output(page: str, output: str) -> Sequence[str]:
    """Return the shown lines that are not in the output, or not in this order."""
    missing, place = [], 0
    for pattern in shown_output(page):
        found = pattern.search(output, place)
        if found is None:
            missing.append(pattern.pattern)
        else:
            place = found.end()
    return missing


def run_commands(
    page: str, environ: Mapping[str, str], addresses: Mapping[str, int], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run the commands of a page in `folder`, with the test's ports in `addresses`; `.venv/bin/smp` is this program."""
    script = commands(page)
    for address, port in addresses.items():
        script = script.replace(address, f"127.0.0.1:{port}")
    launcher = folder / ".venv" / "bin" / "smp"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -m smp.bootstrap "$@"\n')
    launcher.chmod(0o755)
    return subprocess.run(
        ["/bin/sh", "-e", "-c", script],
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SCRIPT_LIMIT_S,
        check=False,
    )


def write_included_files() -> None:
    """Bring every page up to date with the files it includes."""
    for path in DOCS.rglob("*.md"):
        page = path.read_text(encoding="utf-8")
        if (current := with_included_files(page)) != page:
            path.write_text(current, encoding="utf-8")


def prometheus_rule() -> str:
    """Return the manifest that brings the rules of Prometheus into a cluster."""
    _, _, groups = (
        (ROOT / "observability" / "prometheus" / "rules.yml").read_text(encoding="utf-8").partition("groups:\n")
    )
    return _PROMETHEUS_RULE + textwrap.indent(groups, "  ")


if __name__ == "__main__":
    write_included_files()
    PROMETHEUS_RULE_FILE.write_text(prometheus_rule(), encoding="utf-8")
