from __future__ import annotations

import pytest

from smp.application.paging import PageRequest
from smp.application.queries.views import UserView
from smp.domain.errors import UserNotFound
from smp.domain.user.user import Role, email_key
from tests.support.builders import IDS, a_user, an_admin
from tests.support.paging import read_all
from tests.support.storage import Storage


async def emails(storage: Storage, prefix: str, limit: int = 100) -> list[str]:
    """The emails of all users whose email begins so."""
    return [user.email for user in await read_all(lambda page: storage.users.list(prefix, page), limit)]


async def test_a_user_is_shown_as_it_is(storage: Storage) -> None:
    """With the email as its owner wrote it."""
    ann, root = a_user("Ann@Example.COM"), an_admin()
    await storage.keep(ann, root)
    assert await storage.users.get(ann.id) == UserView(
        ann.id, "Ann@Example.COM", Role.USER, disabled=False, created_at=ann.created_at
    )
    assert (await storage.users.get(root.id)).role is Role.ADMIN


async def test_an_unknown_user_is_not_found(storage: Storage) -> None:
    """No view of nobody."""
    with pytest.raises(UserNotFound):
        await storage.users.get(IDS.new())


async def test_users_are_listed_by_email(storage: Storage) -> None:
    """By the code points of the email without case, whatever the language; page by page."""
    names = [
        "b@x.de",
        "A@x.de",
        "a.b@x.de",
        "a-b@x.de",
        "aa@x.de",
        "z@x.de",
        "é@x.de",
        "Ä@x.de",
        "\U0001f600@x.de",
        "_@x.de",
        "1@x.de",
    ]
    await storage.keep(*(a_user(name) for name in names))
    in_order = sorted(names, key=email_key)
    for limit in (1, 2, 4, len(names), 100):
        assert await emails(storage, "", limit) == in_order


async def test_users_are_listed_by_the_beginning_of_their_email(storage: Storage) -> None:
    """Without regard to case, also in scripts where that is not obvious; nothing in it is a pattern."""
    names = ["ann@x.de", "Anna@x.de", "bann@x.de", "a_c@x.de", "abc@x.de", "a%c@x.de", "ΣΟΦΙΑ@x.de", "a'c@x.de"]
    await storage.keep(*(a_user(name) for name in names))
    assert await emails(storage, "AN") == ["ann@x.de", "Anna@x.de"]
    assert await emails(storage, "a_") == ["a_c@x.de"]
    assert await emails(storage, "a%") == ["a%c@x.de"]
    assert await emails(storage, "a'") == ["a'c@x.de"]
    assert await emails(storage, "a\\") == []
    assert await emails(storage, "σοφ") == ["ΣΟΦΙΑ@x.de"]
    assert await emails(storage, "ann@x.de") == ["ann@x.de"]
    assert await emails(storage, "ann@x.de.") == []
    assert await emails(storage, "\U0010ffff") == []


async def test_pages_within_a_prefix_do_not_leave_it(storage: Storage) -> None:
    """Neither at its first nor at its last page."""
    await storage.keep(*(a_user(f"{letter}{number}@x.de") for letter in "abc" for number in range(4)))
    for limit in (1, 3, 4):
        assert await emails(storage, "b", limit) == [f"b{number}@x.de" for number in range(4)]


async def test_an_empty_list_is_one_empty_page(storage: Storage) -> None:
    """And it has no next."""
    page = await storage.users.list("nobody", PageRequest(10))
    assert (list(page.items), page.next) == ([], None)


async def test_nothing_is_skipped_or_repeated_while_users_come(storage: Storage) -> None:
    """Those who were there when the reading began are read once each."""
    old = [f"old-{number}@x.de" for number in range(9)]
    await storage.keep(*(a_user(name) for name in old))
    new = iter(f"{name}-{number}@x.de" for number in range(99) for name in ("a", "old-4", "z"))

    async def come() -> None:
        await storage.keep(*(a_user(next(new)) for _ in range(3)))

    read = [user.email for user in await read_all(lambda page: storage.users.list("", page), 2, come)]
    assert [email for email in read if email in old] == old
    assert len(set(read)) == len(read)
