"""The rule that gives each test the mark of its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import MARKS, TESTS, pytest_collection_modifyitems


class FoundItem(pytest.Item):
    """A collected test."""

    def runtest(self) -> None:
        """Do nothing."""


def found_in(request: pytest.FixtureRequest, path: Path) -> FoundItem:
    """Return a test that was collected from the file at ``path``."""
    item: FoundItem = FoundItem.from_parent(request.session, name="test_something")
    item.path = path
    return item


@pytest.mark.parametrize("mark", sorted(MARKS))
def test_a_test_has_the_mark_of_its_folder(request: pytest.FixtureRequest, mark: str) -> None:
    """At any depth, and no other mark."""
    item = found_in(request, TESTS / mark / "some" / "where" / "test_it.py")
    pytest_collection_modifyitems([item])
    assert {marker.name for marker in item.iter_markers()} == {mark}


@pytest.mark.parametrize("path", ["test_it.py", "units/test_it.py", "support/test_it.py"])
def test_a_test_outside_of_the_marked_folders_is_rejected(request: pytest.FixtureRequest, path: str) -> None:
    """No part of the pipeline would run it."""
    with pytest.raises(pytest.UsageError, match="tests belong into a folder of"):
        pytest_collection_modifyitems([found_in(request, TESTS / path)])


def test_tests_of_other_projects_are_not_marked_or_rejected(request: pytest.FixtureRequest) -> None:
    item = found_in(request, TESTS.parent / "elsewhere" / "test_it.py")
    pytest_collection_modifyitems([item])
    assert list(item.iter_markers()) == []
