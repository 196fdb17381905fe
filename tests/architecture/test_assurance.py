"""Pages that name a test as proof: the test exists, and each promise has one."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.source import ROOT

PAGES: Final = tuple(path for name in ("assurance", "asvs") if (path := ROOT / "docs" / f"{name}.md").exists())
TEST: Final = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@cache
def functions(path: Path) -> frozenset[str]:
    """Return the names of the functions of a file, methods included; empty if there is no such file."""
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )


def complaints(text: str) -> list[str]:
    """Return what is wrong with the tests that a page names."""
    found = []
    for file, name in TEST.findall(text):
        names = functions(ROOT / file)
        if not names:
            found.append(f"{file} does not exist")
        elif name and name not in names:
            found.append(f"{file} has no {name}")
    return found


def rows(text: str) -> list[str]:
    """Return the rows of the page's tables, without their heads."""
    return re.findall(r"^\| (?!---|promise )(.+) \|$", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_each_test_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert TEST.search(text)
    assert complaints(text) == []


def test_each_promise_names_its_test() -> None:
    text = (ROOT / "docs" / "assurance.md").read_text(encoding="utf-8")
    assert [row for row in rows(text) if not TEST.search(row)] == []


def test_each_requirement_of_the_asvs_has_a_state_and_each_that_is_met_names_its_test() -> None:
    text = (ROOT / "docs" / "asvs.md").read_text(encoding="utf-8")
    requirements = re.findall(r"^\| V[\d.]+ \| [12] \| ([^|]+) \| [^|]+ \| (.+) \|$", text, re.MULTILINE)
    assert len(requirements) == text.count("\n| V") > 100
    assert {state for state, _ in requirements} <= {"met", "partly met", "not met", "not applicable"}
    assert [test for state, test in requirements if state == "met" and not TEST.search(test)] == []


def test_a_missing_test_and_a_promise_without_a_test_are_found() -> None:
    assert complaints("`tests/nowhere.py` `tests/architecture/test_assurance.py::test_nothing`") == [
        "tests/nowhere.py does not exist",
        "tests/architecture/test_assurance.py has no test_nothing",
    ]
    assert rows("| promise | test |\n| --- | --- |\n| Nothing is lost. | - |\n") == ["Nothing is lost. | -"]
