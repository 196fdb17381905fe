"""The operations of administrators and services over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest

from tests.support.http_platform import ADMIN, START, Platform, problem, serving


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Platform]:
    async with serving(database_url) as platform:
        yield platform


async def user_id(client: httpx.AsyncClient) -> str:
    return str((await client.get("/v1/me")).json()["id"])


async def test_a_new_role_or_disabling_a_user_applies_to_the_next_request(platform: Platform) -> None:
    ada, admin = await platform.registered("ada@example.com"), await platform.signed_in()
    path = f"/v1/users/{await user_id(ada)}"
    assert (await ada.get("/v1/statistics")).status_code == 403
    assert (await admin.patch(path, json={"role": "admin"})).json()["role"] == "admin"
    promoted = await ada.get("/v1/statistics")
    assert promoted.status_code == 200
    ada.headers["cookie"] = promoted.headers["set-cookie"].partition(";")[0]
    assert (await admin.patch(path, json={"role": "user"})).status_code == 200
    assert (await ada.get("/v1/statistics")).status_code == 403
    assert (await admin.patch(path, json={"disabled": True})).json()["disabled"] is True
    for request in (ada.get("/v1/me"), ada.get("/v1/me/access/x"), ada.post("/v1/auth/logout")):
        assert problem(await request) == (401, "not-authenticated")
    assert (await admin.patch(path, json={"disabled": False})).status_code == 200
    assert (await ada.get("/v1/me")).status_code == 401
    assert (await (await platform.signed_in("ada@example.com")).get("/v1/me")).status_code == 200


async def test_the_token_is_renewed_when_its_user_has_become_an_administrator(platform: Platform) -> None:
    """With the next response, also a refusal, but that of the access question. The session is the same."""
    ada, admin = await platform.registered("ada@example.com"), await platform.signed_in()
    path = f"/v1/users/{await user_id(ada)}"
    (before,) = (await ada.get("/v1/me/sessions")).json()["items"]
    await admin.patch(path, json={"role": "admin"})
    await platform.set_clock(START + timedelta(minutes=10))
    answers = [await ada.get("/v1/me/access/seats"), await ada.get("/v1/users?unknown=1"), await ada.get("/v1/me")]
    assert [answer.status_code for answer in answers] == [200, 400, 401]
    assert ["set-cookie" in answer.headers for answer in answers] == [False, True, False]
    ada.headers["cookie"], *attributes = answers[1].headers["set-cookie"].split("; ")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=42600"}
    answer = await ada.get("/v1/me/sessions")
    (after,) = answer.json()["items"]
    assert (after["id"], after["created_at"]) == (before["id"], before["created_at"])
    assert "set-cookie" not in answer.headers


async def test_simultaneous_requests_renew_a_token_once(platform: Platform) -> None:
    ada, admin = await platform.registered("ada@example.com"), await platform.signed_in()
    await admin.patch(f"/v1/users/{await user_id(ada)}", json={"role": "admin"})
    answers = await asyncio.gather(*(ada.get("/v1/statistics") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    assert [answer.status_code for answer in answers if "set-cookie" in answer.headers] == [200]


async def test_a_new_administrator_who_signs_out_at_once_gets_no_new_token(platform: Platform) -> None:
    ada, admin = await platform.registered("ada@example.com"), await platform.signed_in()
    await admin.patch(f"/v1/users/{await user_id(ada)}", json={"role": "admin"})
    answer = await ada.post("/v1/auth/logout")
    assert answer.status_code == 204
    (cookie,) = answer.headers.get_list("set-cookie")
    assert "=; Path=/; Max-Age=0" in cookie


async def test_a_disabled_user_has_no_access_until_enabled_again(platform: Platform) -> None:
    """At once, whoever asks; the subscription continues. The user's own requests are not authenticated."""
    await platform.offer()
    ada, admin, service = (
        await platform.registered("ada@example.com"),
        await platform.signed_in(),
        await platform.service(),
    )
    assert (await ada.post("/v1/me/subscription/activate", json={"plan": "pro"})).status_code == 201
    path = f"/v1/users/{await user_id(ada)}"
    version = (await admin.get(f"{path}/subscription")).json()["version"]
    before = [(await service.get(f"{path}/access{rest}")).json() for rest in ("", "/export", "/absent")]
    assert (before[0]["disabled"], before[1]["allowed"]) == (False, True)
    assert (await admin.patch(path, json={"disabled": True})).status_code == 200
    for asking in (admin, service):
        for feature in ("export", "absent"):
            answer = (await asking.get(f"{path}/access/{feature}")).json()
            assert (answer["allowed"], answer["reason"], answer["value"]) == (False, "user_disabled", None)
            assert (answer["status"], answer["plan"], answer["until"]) == ("active", "pro", None)
        everything = (await asking.get(f"{path}/access")).json()
        assert (everything["disabled"], everything["features"], everything["until"]) == (True, {}, None)
    assert problem(await ada.get("/v1/me/access/export")) == (401, "not-authenticated")
    assert (await admin.get(f"{path}/subscription")).json()["version"] == version
    assert (await admin.patch(path, json={"disabled": False})).status_code == 200
    assert [(await service.get(f"{path}/access{rest}")).json() for rest in ("", "/export", "/absent")] == before


async def test_an_administrator_can_sign_a_user_out(platform: Platform) -> None:
    ada, again = await platform.registered("ada@example.com"), await platform.signed_in("ada@example.com")
    admin = await platform.signed_in()
    base = f"/v1/users/{await user_id(ada)}/sessions"
    listed = (await admin.get(base)).json()["items"]
    assert [session["current"] for session in listed] == [False, False]
    newest = listed[0]["id"]
    assert (await admin.delete(f"{base}/{newest}")).status_code == 204
    assert problem(await admin.delete(f"{base}/{newest}")) == (404, "session-not-found")
    assert [(await one.get("/v1/me")).status_code for one in (ada, again)] == [200, 401]
    assert (await admin.delete(base)).status_code == 204
    assert [(await one.get("/v1/me")).status_code for one in (ada, admin)] == [401, 200]
    assert problem(await admin.get("/v1/users/x/sessions")) == (404, "user-not-found")


async def test_the_last_administrator_can_be_neither_demoted_nor_disabled(platform: Platform) -> None:
    """Also if two administrators demote each other at the same instant."""
    admin = await platform.signed_in()
    own = f"/v1/users/{await user_id(admin)}"
    for change in ({"role": "user"}, {"disabled": True}):
        assert problem(await admin.patch(own, json=change)) == (409, "last-admin")
    ben = await platform.registered("ben@example.com")
    bens = f"/v1/users/{await user_id(ben)}"
    await admin.patch(bens, json={"role": "admin"})
    answers = await asyncio.gather(admin.patch(bens, json={"role": "user"}), ben.patch(own, json={"role": "user"}))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses in ([200, 403], [200, 409])


async def test_users_are_found_by_the_beginning_of_their_email(platform: Platform) -> None:
    for name in ("ann", "anna", "bob", "an_n", "an%n"):
        await platform.registered(f"{name}@example.com")
    admin = await platform.signed_in()

    async def found(query: str) -> list[str]:
        answer = await admin.get("/v1/users", params={"email": query})
        return [user["email"].partition("@")[0] for user in answer.json()["items"]]

    assert await found("AN") == ["an%n", "an_n", "ann", "anna"]
    assert await found("an_") == ["an_n"]
    assert await found("an%") == ["an%n"]
    assert await found("zed") == []
    assert set(await found("")) == {"admin", "an%n", "an_n", "ann", "anna", "bob"}


async def test_an_administrator_can_manage_the_subscription_of_a_user(platform: Platform) -> None:
    await platform.offer()
    ada, admin = await platform.registered("ada@example.com"), await platform.signed_in()
    base = f"/v1/users/{await user_id(ada)}"
    trial = await admin.post(f"{base}/subscription/trial", json={"plan": "pro"})
    assert trial.status_code == 201
    assert (await ada.get("/v1/me/subscription")).json() == trial.json()
    for action, body in (
        ("activate", {"plan": "pro"}),
        ("renew", {}),
        ("cancel", {"at": "period_end"}),
        ("resume", {}),
    ):
        assert (await admin.post(f"{base}/subscription/{action}", json=body)).status_code == 200
    events = (await admin.get(f"/v1/subscriptions/{trial.json()['id']}/events")).json()["items"]
    assert {event["actor"]["type"] for event in events} == {"admin"}
    assert {event["actor"]["id"] for event in events} == {await user_id(admin)}
    assert len((await admin.get(f"{base}/subscriptions")).json()["items"]) == 1
    for gone in ("x", "01900000-0000-7000-8000-000000000000"):
        assert problem(await admin.get(f"/v1/users/{gone}")) == (404, "user-not-found")
        assert problem(await admin.get(f"/v1/users/{gone}/access/seats")) == (404, "user-not-found")
        answer = await admin.post(f"/v1/users/{gone}/subscription/trial", json={"plan": "pro"})
        assert problem(answer) == (404, "user-not-found")


async def test_a_service_can_check_the_access_of_any_user(platform: Platform) -> None:
    await platform.offer()
    ada, service = await platform.registered("ada@example.com"), await platform.service()
    await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})
    base = f"/v1/users/{await user_id(ada)}"
    assert (await service.get(f"{base}/access/seats")).json() == (await ada.get("/v1/me/access/seats")).json()
    assert (await service.get(f"{base}/access")).json()["features"] == {"export": True, "seats": 5}
    for client, path in ((service, "/v1/me"), (service, f"{base}/subscription"), (service, "/v1/users")):
        assert problem(await client.get(path)) == (403, "forbidden")
    stranger = await platform.visitor()
    answer = await stranger.get(f"{base}/access/seats", headers={"authorization": "Bearer smp_nonsense"})
    assert problem(answer) == (401, "not-authenticated")
    assert "www-authenticate" in answer.headers


async def test_the_list_of_subscriptions_is_filtered_by_their_current_status(platform: Platform) -> None:
    await platform.offer()
    await platform.offer("team", trial_period="P30D")
    for name, plan, actions in (
        ("ada", "pro", ("trial",)),
        ("ben", "team", ("trial",)),
        ("eve", "pro", ("activate",)),
        ("kim", "team", ("activate", "cancel")),
    ):
        user = await platform.registered(f"{name}@example.com")
        for action in actions:
            await user.post(f"/v1/me/subscription/{action}", json={} if action == "cancel" else {"plan": plan})
    await platform.set_clock(START + timedelta(days=14))
    admin = await platform.signed_in()
    names = {user["id"]: user["email"].partition("@")[0] for user in (await admin.get("/v1/users")).json()["items"]}

    async def listed(query: str) -> list[str]:
        answer = await admin.get(f"/v1/subscriptions?{query}")
        assert answer.status_code == 200, answer.text
        return [names[item["user_id"]] for item in answer.json()["items"]]

    assert await listed("") == ["kim", "eve", "ben", "ada"]
    assert await listed("status=trial") == ["ben"]
    assert await listed("status=active") == ["eve"]
    assert await listed("status=expired") == ["ada"]
    assert await listed("status=cancelled&status=expired") == ["kim", "ada"]
    assert await listed("plan=team") == ["kim", "ben"]
    assert await listed("plan=team&status=trial") == ["ben"]
    assert await listed("plan=nothing") == []
    assert await listed("email=EVE@example.com") == ["eve"]
    assert await listed("email=ev") == []
    eve = next(one for one, name in names.items() if name == "eve")
    assert await listed(f"user_id={eve}") == ["eve"]
    assert await listed("ends_before=2027-03-01T00:00:00Z&ends_after=2027-02-14T10:00:00Z&status=active") == ["eve"]
    assert await listed("ends_before=2027-02-14T10:00:00Z") == []
    assert await listed("ends_after=2027-02-14T10:00:00Z&plan=pro") == ["ada", "eve"]


async def test_plans_are_listed_cheapest_first_and_only_administrators_see_archived_ones(platform: Platform) -> None:
    for code, amount in (("c", 300), ("a", 100), ("b", 100), ("old", 50)):
        await platform.offer(code, price={"amount": amount, "currency": "USD"})
    admin, visitor = await platform.signed_in(), await platform.visitor()
    await admin.post("/v1/plans/old/archive")

    async def codes(client: httpx.AsyncClient, query: str = "") -> list[str]:
        return [plan["code"] for plan in (await client.get(f"/v1/plans{query}")).json()["items"]]

    assert await codes(visitor) == ["a", "b", "c"]
    assert await codes(admin, "?status=archived") == ["old"]
    assert await codes(admin, "?status=all") == ["old", "a", "b", "c"]
    assert problem(await visitor.get("/v1/plans?status=all")) == (401, "not-authenticated")
    assert (await visitor.get("/v1/plans/old")).json()["status"] == "archived"
    duplicate = await admin.post(
        "/v1/plans", json={"code": "a", "name": "A", "price": {"amount": 0, "currency": "USD"}}
    )
    assert problem(duplicate) == (409, "plan-code-taken")


async def test_editing_a_plan_creates_a_revision_only_if_the_terms_change(platform: Platform) -> None:
    await platform.offer(features={"export": True, "seats": 5})
    admin = await platform.signed_in()
    steps = [
        ({"name": "Professional", "description": "For professionals"}, 1, 2),
        ({"price": {"amount": 2490}}, 2, 3),
        ({"features": {"seats": 10, "export": None}}, 3, 4),
        ({"period": None, "trial_period": None}, 4, 5),
        ({"features": {"seats": 10}, "name": "Professional"}, 4, 5),
        ({"features": None}, 5, 6),
    ]
    for patch, revision, version in steps:
        answer = await admin.patch(
            "/v1/plans/pro", json=patch, headers={"content-type": "application/merge-patch+json"}
        )
        assert answer.status_code == 200, answer.text
        assert (answer.json()["revision"], answer.headers["etag"]) == (revision, f'"{version}"')
    assert answer.json()["features"] == {}
    revisions = (await admin.get("/v1/plans/pro/revisions")).json()["items"]
    assert [one["revision"] for one in revisions] == [5, 4, 3, 2, 1]
    assert [one["price"]["amount"] for one in revisions] == [2490, 2490, 2490, 2490, 1990]
    for action in ("archive", "restore"):
        assert problem(await admin.post(f"/v1/plans/pro/{action}", json={"force": True})) == (422, "validation-failed")
    for bad in ({"code": "new"}, {"name": None}, {"price": None}, {"price": {"amount": 1.5}}, {"status": "archived"}):
        assert problem(await admin.patch("/v1/plans/pro", json=bad)) == (422, "validation-failed")


async def test_statistics_equal_values_that_are_computed_by_hand(platform: Platform) -> None:
    """A year is 12 months, a month 30.4375 days. Trials and lifetime plans have no revenue. Half rounds up."""
    await platform.offer("month", price={"amount": 1000, "currency": "USD"})
    await platform.offer("year", price={"amount": 10_006, "currency": "USD"}, period="P1Y")
    await platform.offer("fortnight", price={"amount": 700, "currency": "EUR"}, period="P14D")
    await platform.offer("life", price={"amount": 99_999, "currency": "USD"}, period=None)
    for name, plan, actions in (
        ("ada", "month", ("trial", "activate")),
        ("ben", "month", ("trial",)),
        ("eve", "month", ("trial", "cancel")),
        ("kim", "year", ("activate",)),
        ("lou", "fortnight", ("activate",)),
        ("max", "life", ("activate",)),
    ):
        user = await platform.registered(f"{name}@example.com")
        for action in actions:
            await user.post(f"/v1/me/subscription/{action}", json={} if action == "cancel" else {"plan": plan})
    figures = (await (await platform.signed_in()).get("/v1/statistics")).json()
    assert figures == {
        "as_of": "2027-01-31T10:00:00Z",
        "users": 7,
        "subscriptions": {"trial": 1, "active": 4, "expired": 0, "cancelled": 1},
        "by_plan": [
            {"plan": "fortnight", "trial": 0, "active": 1},
            {"plan": "life", "trial": 0, "active": 1},
            {"plan": "month", "trial": 1, "active": 1},
            {"plan": "year", "trial": 0, "active": 1},
        ],
        # 700 * 30.4375 / 14 = 1521.875 and 1000 + 10006 / 12 = 1833.83
        "mrr": [{"amount": 1522, "currency": "EUR"}, {"amount": 1834, "currency": "USD"}],
        "trials": {"started": 3, "running": 1, "converted": 1, "lost": 1, "conversion_rate": 0.5},
        "ending_within_7_days": 0,
    }
    for after, ending in ((timedelta(days=7), 0), (timedelta(days=7, microseconds=1), 2)):
        await platform.set_clock(START + after)
        figures = (await (await platform.signed_in()).get("/v1/statistics")).json()
        assert figures["ending_within_7_days"] == ending  # the trial and the fortnight; half-open like all intervals


async def test_the_first_administrator_can_sign_in(platform: Platform) -> None:
    me = (await (await platform.signed_in()).get("/v1/me")).json()
    assert (me["email"], me["role"]) == (ADMIN, "admin")
    assert datetime.fromisoformat(me["created_at"]) == START
