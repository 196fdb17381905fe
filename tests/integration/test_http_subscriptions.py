"""The life of subscriptions over HTTP, on a platform with a test clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.http_platform import PASSWORD, START, Json, Platform, pointers, problem, serving


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Platform]:
    async with serving(database_url) as platform:
        yield platform


FIELDS = {
    "id", "user_id", "plan", "status", "price", "features", "trial_ends_at", "starts_at", "ends_at", "cancel_at",
    "cancelled_at", "ended_at", "version", "created_at",
}  # fmt: skip


async def test_a_trial_converts_into_a_subscription_that_renews_and_ends(platform: Platform) -> None:
    """Months are counted from the conversion; February 28, March 31, April 30 from a January 31."""
    plan = await platform.offer()
    ada = await platform.registered("ada@example.com")
    trial = await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})
    assert trial.status_code == 201
    subscription = trial.json()
    assert set(subscription) == FIELDS
    assert subscription["plan"] == {"id": plan["id"], "code": "pro", "name": "Pro", "revision": 1}
    assert (subscription["status"], subscription["starts_at"]) == ("trial", "2027-01-31T10:00:00Z")
    assert subscription["trial_ends_at"] == subscription["ends_at"] == "2027-02-14T10:00:00Z"
    assert trial.headers["location"] == f"/v1/subscriptions/{subscription['id']}"
    converted = await ada.post("/v1/me/subscription/activate", json={"plan": plan["id"]})
    assert converted.status_code == 200
    assert converted.json()["id"] == subscription["id"]
    renewed = [await ada.post("/v1/me/subscription/renew") for _ in range(2)]
    ends = [answer.json()["ends_at"] for answer in (converted, *renewed)]
    assert ends == ["2027-02-28T10:00:00Z", "2027-03-31T10:00:00Z", "2027-04-30T10:00:00Z"]
    await platform.set_clock(datetime(2027, 4, 30, 10, tzinfo=UTC))
    ada = await platform.signed_in("ada@example.com")
    assert problem(await ada.get("/v1/me/subscription")) == (404, "no-live-subscription")
    for action in ("cancel", "resume", "renew"):
        assert problem(await ada.post(f"/v1/me/subscription/{action}")) == (404, "no-live-subscription")
    again = await ada.post("/v1/me/subscription/activate", json={"plan": "pro"})
    assert again.status_code == 201
    old, events = f"/v1/subscriptions/{subscription['id']}", f"/v1/subscriptions/{subscription['id']}/events"
    assert (await ada.get(old)).json()["ended_at"] == "2027-04-30T10:00:00Z"
    items = (await ada.get(events)).json()["items"]
    assert [event["type"].removeprefix("subscription.") for event in items] == [
        "trial_started", "converted", "renewed", "renewed", "expired",
    ]  # fmt: skip
    assert [event["version"] for event in items] == [1, 2, 3, 4, 5]
    assert items[-1]["actor"] == {"type": "system", "id": None}
    assert items[-1]["occurred_at"] == "2027-04-30T10:00:00Z"
    assert items[0]["actor"] == {"type": "user", "id": subscription["user_id"]}


async def test_a_user_gets_the_trial_of_a_plan_once(platform: Platform) -> None:
    await platform.offer()
    await platform.offer("plain", trial_period=None)
    ada = await platform.registered("ada@example.com")
    assert problem(await ada.post("/v1/me/subscription/trial", json={"plan": "plain"})) == (409, "plan-has-no-trial")
    assert problem(await ada.post("/v1/me/subscription/trial", json={"plan": "none"})) == (404, "plan-not-found")
    assert (await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})).status_code == 201
    live = await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})
    assert problem(live) == (409, "live-subscription-exists")
    assert (await ada.post("/v1/me/subscription/cancel")).json()["status"] == "cancelled"
    assert problem(await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})) == (409, "trial-already-used")


@pytest.mark.parametrize(("scope", "status"), [("plan", 201), ("user", 409)])
async def test_a_setting_allows_one_trial_per_plan_or_one_in_all(database_url: str, scope: str, status: int) -> None:
    async with serving(database_url, SMP_TRIAL_SCOPE=scope) as platform:
        await platform.offer()
        await platform.offer("team")
        ada = await platform.registered("ada@example.com")
        assert (await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})).status_code == 201
        assert (await ada.post("/v1/me/subscription/cancel")).status_code == 200
        assert (await ada.post("/v1/me/subscription/trial", json={"plan": "team"})).status_code == status


async def test_a_setting_allows_one_trial_for_all_emails_of_a_person(database_url: str) -> None:
    async with serving(database_url, SMP_TRIAL_SCOPE="person") as platform:
        await platform.offer()
        ada = await platform.registered("ada@example.com")
        assert (await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})).status_code == 201
        again = await platform.registered("Ada+1@example.com")
        assert problem(await again.post("/v1/me/subscription/trial", json={"plan": "pro"})) == (
            409,
            "trial-already-used",
        )
        other = await platform.registered("bob+1@example.com")
        assert (await other.post("/v1/me/subscription/trial", json={"plan": "pro"})).status_code == 201


async def test_only_one_of_many_parallel_starts_succeeds(platform: Platform) -> None:
    await platform.offer()
    ada = await platform.registered("ada@example.com")
    starts = [
        ada.post(f"/v1/me/subscription/{action}", json={"plan": "pro"})
        for action in ("trial", "activate")
        for _ in range(6)
    ]
    answers = await asyncio.gather(*starts)
    made = [answer for answer in answers if answer.status_code == 201]
    converted = [answer for answer in answers if answer.status_code == 200]
    assert len(made) == 1
    assert len(converted) <= 1  # where the trial came first, one activation converted it
    refused = {problem(answer) for answer in answers if answer.status_code >= 400}
    assert refused <= {(409, "live-subscription-exists"), (409, "trial-already-used")}
    assert len((await ada.get("/v1/me/subscriptions")).json()["items"]) == 1


async def test_a_cancellation_at_the_period_end_can_be_undone_and_an_immediate_one_cannot(platform: Platform) -> None:
    await platform.offer()
    ada = await platform.registered("ada@example.com")
    path = "/v1/me/subscription"
    await ada.post(f"{path}/activate", json={"plan": "pro"})
    assert problem(await ada.post(f"{path}/resume")) == (409, "illegal-transition")
    once = await ada.post(f"{path}/cancel", json={"at": "period_end"})
    twice = await ada.post(f"{path}/cancel", json={"at": "period_end"})
    assert once.json()["cancel_at"] == once.json()["ends_at"]
    assert (twice.status_code, twice.json()) == (200, once.json())
    assert problem(await ada.post(f"{path}/renew")) == (409, "illegal-transition")
    assert (await ada.get("/v1/me/access/export")).json()["allowed"] is True
    assert (await ada.post(f"{path}/resume")).json()["cancel_at"] is None
    await ada.post(f"{path}/cancel", json={"at": "period_end"})
    cancelled = (await ada.post(f"{path}/cancel", json={"at": "now"})).json()
    assert (cancelled["status"], cancelled["ended_at"]) == ("cancelled", cancelled["cancelled_at"])
    assert problem(await ada.post(f"{path}/resume")) == (404, "no-live-subscription")
    access = (await ada.get("/v1/me/access/export")).json()
    assert (access["allowed"], access["reason"], access["status"]) == (False, "subscription_cancelled", "cancelled")


async def test_a_scheduled_cancellation_takes_effect_at_the_period_end(platform: Platform) -> None:
    await platform.offer()
    ada = await platform.registered("ada@example.com")
    started = (await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})).json()
    await ada.post("/v1/me/subscription/cancel", json={"at": "period_end"})
    await platform.set_clock(START + timedelta(days=14))
    await platform.run_expiry_job()
    ada = await platform.signed_in("ada@example.com")
    over = (await ada.get(f"/v1/subscriptions/{started['id']}")).json()
    assert (over["status"], over["ended_at"], over["cancelled_at"]) == ("cancelled", over["ends_at"], over["ends_at"])
    last = (await ada.get(f"/v1/subscriptions/{started['id']}/events")).json()["items"][-1]
    assert (last["type"], last["actor"]["type"]) == ("subscription.cancelled", "system")


async def test_a_lifetime_subscription_cannot_be_renewed_or_cancelled_at_a_period_end(platform: Platform) -> None:
    await platform.offer("life", period=None, trial_period=None)
    ada = await platform.registered("ada@example.com")
    assert (await ada.post("/v1/me/subscription/activate", json={"plan": "life"})).json()["ends_at"] is None
    assert problem(await ada.post("/v1/me/subscription/renew")) == (409, "illegal-transition")
    scheduled = await ada.post("/v1/me/subscription/cancel", json={"at": "period_end"})
    assert problem(scheduled) == (409, "illegal-transition")
    assert (await ada.get("/v1/me/access")).json()["until"] is None
    assert (await ada.post("/v1/me/subscription/cancel")).status_code == 200


async def test_editing_a_plan_never_affects_existing_subscribers(platform: Platform) -> None:
    """A trial keeps its revision through conversion and renewal, also of a plan that was revised and archived."""
    await platform.offer()
    await platform.offer("other")
    ada, ben = await platform.registered("ada@example.com"), await platform.registered("ben@example.com")
    await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})
    admin = await platform.signed_in()
    patch = {"price": {"amount": 9900}, "features": {"export": None, "seats": 1}}
    assert (await admin.patch("/v1/plans/pro", json=patch)).json()["revision"] == 2
    assert (await admin.post("/v1/plans/pro/archive")).json()["status"] == "archived"
    assert problem(await ben.post("/v1/me/subscription/activate", json={"plan": "pro"})) == (409, "plan-archived")
    assert problem(await ben.post("/v1/me/subscription/trial", json={"plan": "pro"})) == (409, "plan-archived")
    await ben.post("/v1/me/subscription/trial", json={"plan": "other"})
    assert problem(await ben.post("/v1/me/subscription/activate", json={"plan": "pro"})) == (409, "plan-archived")
    for action, body in (("activate", {"plan": "pro"}), ("renew", {})):
        after = (await ada.post(f"/v1/me/subscription/{action}", json=body)).json()
        assert (after["plan"]["revision"], after["price"]["amount"]) == (1, 1990)
        assert after["features"] == {"export": True, "seats": 5}
    assert (await admin.post("/v1/plans/pro/restore")).json()["status"] == "active"
    converted = await ben.post("/v1/me/subscription/activate", json={"plan": "pro"})
    assert (converted.status_code, converted.json()["plan"]["revision"]) == (200, 2)


async def test_nothing_changes_unless_the_payment_succeeds(platform: Platform) -> None:
    """Free plans are not charged."""
    await platform.offer()
    await platform.offer("free", price={"amount": 0, "currency": "JPY"})
    ada = await platform.registered("ada@example.com")
    path = "/v1/me/subscription/activate"
    declined = await ada.post(path, json={"plan": "pro", "payment_method": "sim_declined"})
    assert problem(declined) == (402, "payment-declined")
    down = await ada.post(path, json={"plan": "pro", "payment_method": "sim_down"})
    assert problem(down) == (503, "payment-unavailable")
    assert int(down.headers["retry-after"]) > 0
    unknown = await ada.post(path, json={"plan": "pro", "payment_method": "gold"})
    assert (problem(unknown), pointers(unknown)) == ((422, "validation-failed"), {"/payment_method"})
    assert (await ada.get("/v1/me/subscriptions")).json()["items"] == []
    assert (await ada.post(path, json={"plan": "free", "payment_method": "sim_declined"})).status_code == 201


async def test_without_payments_only_administrators_activate_paid_plans(database_url: str) -> None:
    async with serving(database_url, SMP_PAYMENTS="none") as platform:
        await platform.offer()
        await platform.offer("free", price={"amount": 0, "currency": "USD"})
        ada = await platform.registered("ada@example.com")
        user_id = (await ada.get("/v1/me")).json()["id"]
        refused = await ada.post("/v1/me/subscription/activate", json={"plan": "pro"})
        assert problem(refused) == (402, "payment-required")
        admin = await platform.signed_in()
        given = await admin.post(f"/v1/users/{user_id}/subscription/activate", json={"plan": "pro"})
        assert given.status_code == 201
        assert problem(await ada.post("/v1/me/subscription/renew")) == (402, "payment-required")
        assert (await admin.post(f"/v1/users/{user_id}/subscription/renew")).status_code == 200
        event = (await ada.get(f"{given.headers['location']}/events")).json()["items"][0]
        assert event["actor"]["type"] == "admin"
        ben = await platform.registered("ben@example.com")
        assert (await ben.post("/v1/me/subscription/activate", json={"plan": "free"})).status_code == 201


async def test_access_ends_exactly_at_the_end_of_the_subscription(platform: Platform) -> None:
    """A value of 0 or ``false`` gives no access; a text does."""
    await platform.offer(features={"export": True, "off": False, "none": 0, "seats": 5, "support": "priority"})
    ada = await platform.registered("ada@example.com")
    decision = (await ada.get("/v1/me/access/export")).json()
    assert decision == {
        "feature": "export", "allowed": False, "value": None, "reason": "no_subscription", "status": None, "plan": None,
        "until": None,
    }  # fmt: skip
    await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})
    answers = [
        (await ada.get(f"/v1/me/access/{name}")).json() for name in ("export", "off", "none", "seats", "support", "x")
    ]
    assert [answer["allowed"] for answer in answers] == [True, False, False, True, True, False]
    assert [answer["value"] for answer in answers] == [True, False, 0, 5, "priority", None]
    assert {answer["reason"] for answer in answers if not answer["allowed"]} == {"feature_not_in_plan"}
    end = START + timedelta(days=14)
    await platform.set_clock(end - timedelta(microseconds=1))
    ada = await platform.signed_in("ada@example.com")
    assert (await ada.get("/v1/me/access/export")).json()["allowed"] is True
    await platform.set_clock(end)
    over = (await ada.get("/v1/me/access/export")).json()
    assert (over["allowed"], over["reason"], over["until"]) == (False, "subscription_expired", None)
    everything = (await ada.get("/v1/me/access")).json()
    assert (everything["features"], everything["status"], everything["plan"]) == ({}, "expired", "pro")


async def test_a_late_expiry_job_changes_no_response(platform: Platform) -> None:
    """Trials, paid and cancelled subscriptions, all overdue: every response is the same before and after the job."""
    await platform.offer()
    ids = []
    for name, actions in (
        ("ada", (("trial", {"plan": "pro"}),)),
        ("ben", (("activate", {"plan": "pro"}),)),
        ("eve", (("trial", {"plan": "pro"}), ("cancel", {"at": "period_end"}))),
        ("kim", (("trial", {"plan": "pro"}), ("activate", {"plan": "pro"}), ("renew", {}))),
    ):
        user = await platform.registered(f"{name}@example.com")
        for action, body in actions:
            answer = await user.post(f"/v1/me/subscription/{action}", json=body)
        ids.append(answer.json()["id"])
    await platform.set_clock(START + timedelta(days=28))

    async def everything() -> list[object]:
        admin = await platform.signed_in()
        answers: list[object] = []
        for path in (
            "/v1/statistics",
            "/v1/subscriptions",
            *(f"/v1/subscriptions?status={status}" for status in ("trial", "active", "expired", "cancelled")),
            "/v1/subscriptions?status=expired&status=cancelled&plan=pro&ends_after=2027-02-01T00:00:00Z",
            *(f"/v1/subscriptions/{one}" for one in ids),
        ):
            answer = await admin.get(path)
            answers += [answer.json(), answer.headers.get("etag")]
        for name in ("ada", "ben", "eve", "kim"):
            user = await platform.signed_in(f"{name}@example.com")
            for path in ("/v1/me/subscription", "/v1/me/subscriptions", "/v1/me/access", "/v1/me/access/seats"):
                answers.append((await user.get(path)).json())
        return answers

    before = await everything()
    await platform.run_expiry_job()
    assert await everything() == before
    statuses = before[0]["subscriptions"]  # type: ignore[index]
    assert statuses == {"trial": 0, "active": 1, "expired": 2, "cancelled": 1}


async def test_the_test_clock_stands_still_until_it_is_moved_forward(platform: Platform) -> None:
    await platform.offer()
    ada = await platform.registered("ada@example.com")
    started = (await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})).json()
    admin = await platform.signed_in()
    assert (await admin.get("/v1/test-clock")).json() == {"now": "2027-01-31T10:00:00Z"}
    back = await admin.put("/v1/test-clock", json={"now": "2027-01-31T09:59:59Z"})
    assert problem(back) == (409, "test-clock-moves-forward-only")
    for bad in ({"now": "2027-02-01T00:00:00"}, {"now": 7}, {}, {"now": "2027-02-01T00:00:00Z", "speed": 2}):
        assert problem(await admin.put("/v1/test-clock", json=bad)) == (422, "validation-failed")
    moved = await admin.put("/v1/test-clock", json={"now": "2027-02-14T11:00:00+01:00"})
    assert moved.json() == {"now": "2027-02-14T10:00:00Z"}
    admin = await platform.signed_in()
    events = (await admin.get(f"/v1/subscriptions/{started['id']}/events")).json()["items"]
    assert [event["type"] for event in events] == ["subscription.trial_started", "subscription.expired"]
    ada = await platform.signed_in("ada@example.com")
    assert problem(await ada.put("/v1/test-clock", json={"now": "2027-03-01T00:00:00Z"})) == (403, "forbidden")


async def test_the_history_is_newest_first_and_hidden_from_other_users(platform: Platform) -> None:
    await platform.offer()
    ada, ben = await platform.registered("ada@example.com"), await platform.registered("ben@example.com")
    made: list[Json] = []
    for day in range(3):
        await platform.set_clock(START + timedelta(days=day))
        made.append((await ada.post("/v1/me/subscription/activate", json={"plan": "pro"})).json())
        await ada.post("/v1/me/subscription/cancel")
    pages: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await ada.get(f"/v1/me/subscriptions?limit=2{cursor and '&cursor=' + cursor}")).json()
        pages += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert pages == [one["id"] for one in reversed(made)]
    for path in (f"/v1/subscriptions/{made[0]['id']}", f"/v1/subscriptions/{made[0]['id']}/events"):
        assert problem(await ben.get(path)) == (404, "subscription-not-found")
        assert (await ada.get(path)).status_code == 200
        assert (await (await platform.signed_in()).get(path)).status_code == 200


async def test_every_change_of_a_subscription_refuses_a_stale_version(platform: Platform) -> None:
    await platform.offer()
    ada = await platform.registered("ada@example.com")
    stale = {"if-match": '"7"'}
    nothing = await ada.post("/v1/me/subscription/trial", json={"plan": "pro"}, headers={"if-match": "*"})
    assert problem(nothing) == (412, "precondition-failed")
    tag = (await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})).headers["etag"]
    for action, body in (("activate", {"plan": "pro"}), ("cancel", {}), ("resume", {}), ("renew", {})):
        answer = await ada.post(f"/v1/me/subscription/{action}", json=body, headers=stale)
        assert problem(answer) == (412, "precondition-failed")
    fresh = await ada.post("/v1/me/subscription/activate", json={"plan": "pro"}, headers={"if-match": tag})
    assert (fresh.status_code, fresh.headers["etag"].partition(".")[0]) == (200, '"2')


async def test_a_wrong_password_does_not_sign_in_even_with_the_fast_hasher_of_the_tests(platform: Platform) -> None:
    """So logins in tests check passwords as they do in production."""
    answer = await (await platform.visitor()).post(
        "/v1/auth/login", json={"email": "admin@example.com", "password": PASSWORD[:-1]}
    )
    assert problem(answer) == (401, "invalid-credentials")
