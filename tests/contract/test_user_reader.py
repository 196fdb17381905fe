from __future__ import annotations

from dataclasses import replace

import pytest

from smp.application.paging import PageRequest
from smp.application.queries.views import UserView
from smp.domain.errors import UserNotFound
from smp.domain.user.user import Role, email_key
from tests.support.builders import IDS, a_user, an_admin
from tests.support.paging import read_all
from tests.support.storage import Storage


async def emails(storage: Storage, prefix: str, limit: int = 100) -> list[str]:
    """Return the emails of all users whose email has the prefix."""
    return [user.email for user in await read_all(lambda page: storage.users.list(prefix, page), limit)]


async def test_a_user_is_shown_with_the_email_as_it_was_written(storage: Storage) -> None:
    ann, root = a_user("Ann@Example.COM"), an_admin()
    await storage.keep(ann, root)
    assert await storage.users.get(ann.id) == UserView(
        ann.id, "Ann@Example.COM", Role.USER, disabled=False, created_at=ann.created_at
    )
    assert (await storage.users.get(root.id)).role is Role.ADMIN


async def test_an_unknown_user_is_not_found(storage: Storage) -> None:
    with pytest.raises(UserNotFound):
        await storage.users.get(IDS.new())


async def test_users_are_listed_in_the_order_of_their_emails_ignoring_case(storage: Storage) -> None:
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


async def test_users_can_be_listed_by_the_beginning_of_their_email_ignoring_case(storage: Storage) -> None:
    """Wildcards in the prefix have no meaning."""
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


async def test_every_page_of_a_list_by_prefix_has_matching_users_only(storage: Storage) -> None:
    await storage.keep(*(a_user(f"{letter}{number}@x.de") for letter in "abc" for number in range(4)))
    for limit in (1, 3, 4):
        assert await emails(storage, "b", limit) == [f"b{number}@x.de" for number in range(4)]


async def test_an_empty_list_is_one_empty_page_without_a_next(storage: Storage) -> None:
    page = await storage.users.list("nobody", PageRequest(10))
    assert (list(page.items), page.next) == ([], None)


async def test_new_users_make_no_page_skip_or_repeat_an_old_one(storage: Storage) -> None:
    old = [f"old-{number}@x.de" for number in range(9)]
    await storage.keep(*(a_user(name) for name in old))
    new = iter(f"{name}-{number}@x.de" for number in range(99) for name in ("a", "old-4", "z"))

    async def register_more() -> None:
        await storage.keep(*(a_user(next(new)) for _ in range(3)))

    read = [user.email for user in await read_all(lambda page: storage.users.list("", page), 2, register_more)]
    assert [email for email in read if email in old] == old
    assert len(set(read)) == len(read)


async def test_a_user_is_found_by_the_whole_email_in_any_case(storage: Storage) -> None:
    ann = a_user("Ann@Example.com")
    await storage.keep(ann, a_user("ann@example.com.au"))
    assert await storage.users.get_by_email("aNN@EXAMPLE.com") == UserView.of(ann)
    for text in ("ann@example", "", "\x00", "\ud800"):
        with pytest.raises(UserNotFound):
            await storage.users.get_by_email(text)


async def test_administrators_are_listed_by_email_including_disabled_ones(storage: Storage) -> None:
    assert await storage.users.administrators() == []
    root, second = an_admin("Root@example.com"), replace(an_admin("admin@example.com"), disabled=True)
    await storage.keep(root, a_user("ann@example.com"), second)
    assert await storage.users.administrators() == [UserView.of(second), UserView.of(root)]
