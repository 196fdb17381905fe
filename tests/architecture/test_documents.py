"""Every link between documents has a target, and the two READMEs have the same structure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.source import ROOT

DOCUMENTS: Final = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "k8s/**/*.md", ".github/**/*.md")
    for path in ROOT.glob(pattern)
    if path.is_file()
)
LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING: Final = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
ANCHOR: Final = re.compile(r"<a (?:id|name)=\"([^\"]+)\"")
CODE: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def links(document: Path) -> Iterator[str]:
    """Yield the links to files of this repository."""
    for target in LINK.findall(CODE.sub("", document.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(document: Path) -> set[str]:
    """Return the anchors of its sections, as GitHub generates them."""
    text = CODE.sub("", document.read_text(encoding="utf-8"))
    named = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}
    return named | set(ANCHOR.findall(text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_an_existing_file_and_section(document: Path) -> None:
    for link in links(document):
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), f"{link}: there is no such file"
        if anchor:
            assert anchor in anchors(target), f"{link}: there is no such section"


def test_both_readmes_have_the_same_sections_code_blocks_rows_and_links() -> None:
    """Another test runs the commands of both."""
    shapes = []
    for name in ("README.md", "README.ru.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        marks = re.findall(r"^(#+ |```\w*|\| |- )", text, re.MULTILINE)
        files = [link for link in links(ROOT / name) if not link.startswith("README")]
        shapes.append((marks, files))
    assert shapes[0] == shapes[1]
