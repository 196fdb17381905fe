"""The rule by which tests get their marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import MARKS, TESTS, pytest_collection_modifyitems


class FoundItem(pytest.Item):
    """A test that was found in a file."""

    def runtest(self) -> None:
        """Nothing to run."""


def found_in(request: pytest.FixtureRequest, path: Path) -> FoundItem:
    """A test that was found in the file at ``path``."""
    item: FoundItem = FoundItem.from_parent(request.session, name="test_something")
    item.path = path
    return item


@pytest.mark.parametrize("mark", sorted(MARKS))
def test_a_test_has_the_mark_of_its_folder(request: pytest.FixtureRequest, mark: str) -> None:
    """However deep it lies; and no other of them."""
    item = found_in(request, TESTS / mark / "some" / "where" / "test_it.py")
    pytest_collection_modifyitems([item])
    assert {marker.name for marker in item.iter_markers()} == {mark}


@pytest.mark.parametrize("path", ["test_it.py", "units/test_it.py", "support/test_it.py"])
def test_a_test_anywhere_else_is_refused(request: pytest.FixtureRequest, path: str) -> None:
    """It would run in no part."""
    with pytest.raises(pytest.UsageError, match="tests belong into a folder of"):
        pytest_collection_modifyitems([found_in(request, TESTS / path)])


def test_tests_of_others_are_left_alone(request: pytest.FixtureRequest) -> None:
    """Outside of our folder nothing is marked or refused."""
    item = found_in(request, TESTS.parent / "elsewhere" / "test_it.py")
    pytest_collection_modifyitems([item])
    assert list(item.iter_markers()) == []
