"""The version, and what the changelog says about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from delivery.failures import StepFailed

VERSION_FILE: Final = Path("src/smp/__init__.py")
CHANGELOG: Final = Path("CHANGELOG.md")

_VERSION: Final = re.compile(r'^__version__ = "(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)"$', re.MULTILINE)
_HEADING: Final = re.compile(r"^## (?P<version>\S+) \((?P<date>.+)\)$")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def version(root: Path) -> str:
    """The version of the source under ``root``. Raises StepFailed where it is not of the form 1.2.3, 1.2.3rc1."""
    found = _VERSION.findall((root / VERSION_FILE).read_text(encoding="utf-8"))
    if len(found) != 1:
        raise StepFailed(f'{VERSION_FILE} has no line of the form __version__ = "1.2.3"')
    return str(found[0])


def notes(root: Path, wanted: str) -> str:
    """What the changelog says about the version, without its heading.

    Raises:
        StepFailed: it has no such heading, or nothing under it.
    """
    text = "\n".join(_section(root, wanted)[1]).strip()
    if not text:
        raise StepFailed(f"{CHANGELOG} says nothing about {wanted}")
    return text


def check(root: Path, tag: str) -> str:
    """The version that the tag releases.

    Raises:
        StepFailed: the tag is not ``v`` and the source's version, or the changelog does not tell of it with a date.
    """
    released = version(root)
    if tag != f"v{released}":
        raise StepFailed(f"the tag is {tag}, but the source is {released}: tag v{released}, or change the source")
    date, _ = _section(root, released)
    if not _DATE.fullmatch(date):
        raise StepFailed(f"{CHANGELOG}: write the day of the release, ## {released} (2026-01-31), not ({date})")
    notes(root, released)
    return released


def _section(root: Path, wanted: str) -> tuple[str, list[str]]:
    """What stands in the brackets of the version's heading, and the lines under it."""
    date: str | None = None
    lines: list[str] = []
    for line in (root / CHANGELOG).read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            if date is not None:
                break
            heading = _HEADING.fullmatch(line)
            date = heading["date"] if heading and heading["version"] == wanted else None
        elif date is not None:
            lines.append(line)
    if date is None:
        raise StepFailed(f"{CHANGELOG} has no heading ## {wanted} (…)")
    return date, lines
