"""What values mean over HTTP: addresses, tags, instants, money and names."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from tests.support.http_platform import ADMIN, PASSWORD, Platform, pointers, problem, serving

START_OF_2027 = "2027-01-01T00:00:00Z"


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Platform]:
    async with serving(database_url) as platform:
        yield platform


@pytest.mark.parametrize(
    "header",
    [
        "203.0.113.7",
        "203.0.113.7:51234",
        "198.51.100.1, 203.0.113.7",
        "198.51.100.1, 198.51.100.2, 203.0.113.7:443",
        "not an address, 203.0.113.7",
    ],
)
async def test_a_session_shows_the_address_that_the_trusted_proxy_wrote(database_url: str, header: str) -> None:
    async with serving(database_url, SMP_TRUSTED_PROXIES="1") as platform:
        visitor = await platform.visitor()
        body = {"email": ADMIN, "password": PASSWORD}
        answer = await visitor.post("/v1/auth/login", json=body, headers={"x-forwarded-for": header})
        visitor.headers["cookie"] = answer.headers["set-cookie"].partition(";")[0]
        sessions = (await visitor.get("/v1/me/sessions")).json()["items"]
        assert [session["source"] for session in sessions] == ["203.0.113.7"]


def forms(tag: str) -> list[str]:
    """Return the forms of a tag that compressing proxies send to clients."""
    inner = tag.strip('"')
    suffixes = ("-gzip", "--gzip", ";gzip", ";br", "-br", "/gzip", ":zstd", "-gzip-br")
    return [tag, f"W/{tag}", *(f'"{inner}{suffix}"' for suffix in suffixes), f'W/"{inner}-gzip"', f'"x", {tag}']


async def test_a_tag_that_a_proxy_changed_stands_for_its_state(platform: Platform) -> None:
    await platform.offer()
    admin, ada = await platform.signed_in(), await platform.registered("ada@example.com")
    assert (await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})).status_code == 201
    for client, path in ((admin, "/v1/plans/pro"), (ada, "/v1/me/subscription")):
        tag = (await client.get(path)).headers["etag"]
        for form in forms(tag):
            assert (await client.get(path, headers={"if-none-match": form})).status_code == 304, form
    for number in range(len(forms(""))):
        form = forms((await admin.get("/v1/plans/pro")).headers["etag"])[number]
        changed = await admin.patch("/v1/plans/pro", json={"name": f"N{number}"}, headers={"if-match": form})
        assert changed.status_code == 200, form
        action, body = ("cancel", {"at": "period_end"}) if number % 2 == 0 else ("resume", {})
        form = forms((await ada.get("/v1/me/subscription")).headers["etag"])[number]
        moved = await ada.post(f"/v1/me/subscription/{action}", json=body, headers={"if-match": form})
        assert moved.status_code == 200, form


@pytest.mark.parametrize(
    "tag", ['"1"', 'W/"1"', '"1-gzip"', '"22"', '"2x"', '"0"', '"-2"', '"2.5"', '"x-2"', "2", '""']
)
async def test_a_tag_of_another_state_matches_nothing(platform: Platform, tag: str) -> None:
    await platform.offer()
    admin = await platform.signed_in()
    assert (await admin.patch("/v1/plans/pro", json={"name": "New"})).headers["etag"] == '"2"'
    assert (await admin.get("/v1/plans/pro", headers={"if-none-match": tag})).status_code == 200
    answer = await admin.patch("/v1/plans/pro", json={"name": "Newer"}, headers={"if-match": tag})
    assert problem(answer) == (412, "precondition-failed")


async def test_a_tag_changes_with_everything_that_the_body_shows(platform: Platform) -> None:
    """A client that has the body with this tag never keeps an old one."""
    await platform.offer()
    admin, ada = await platform.signed_in(), await platform.registered("ada@example.com")
    await ada.post("/v1/me/subscription/activate", json={"plan": "pro", "payment_method": "sim_ok"})
    subscription = f"/v1/subscriptions/{(await ada.get('/v1/me/subscription')).json()['id']}"
    changes: list[tuple[httpx.AsyncClient, str, str, dict[str, object]]] = [
        (admin, "PATCH", "/v1/plans/pro", {"name": "Professional"}),
        (admin, "PATCH", "/v1/plans/pro", {"description": "New"}),
        (admin, "PATCH", "/v1/plans/pro", {"price": {"amount": 5}}),
        (admin, "PATCH", "/v1/plans/pro", {"features": {"seats": 9}}),
        (admin, "POST", "/v1/plans/pro/archive", {}),
        (admin, "POST", "/v1/plans/pro/restore", {}),
        (ada, "POST", "/v1/me/subscription/renew", {}),
        (ada, "POST", "/v1/me/subscription/cancel", {"at": "period_end"}),
        (ada, "POST", "/v1/me/subscription/resume", {}),
        (ada, "POST", "/v1/me/subscription/cancel", {"at": "now"}),
    ]
    paths = ("/v1/plans/pro", subscription)
    for client, method, path, body in changes:
        before = [await admin.get(shown) for shown in paths]
        assert (await client.request(method, path, json=body)).status_code == 200
        for shown, seen in zip(paths, before, strict=True):
            after = await admin.get(shown)
            assert (after.content == seen.content) == (after.headers["etag"] == seen.headers["etag"]), (path, body)
            kept = await admin.get(shown, headers={"if-none-match": seen.headers["etag"]})
            assert kept.status_code == (304 if after.content == seen.content else 200)


async def test_a_new_name_of_the_plan_does_not_refuse_a_change_of_the_subscription(platform: Platform) -> None:
    """Only a change of the subscription makes its version old."""
    await platform.offer()
    admin, ada = await platform.signed_in(), await platform.registered("ada@example.com")
    started = await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})
    assert started.headers["etag"] == (await ada.get("/v1/me/subscription")).headers["etag"]
    await admin.patch("/v1/plans/pro", json={"name": "New"})
    expected = {"if-match": started.headers["etag"]}
    cancel = await ada.post("/v1/me/subscription/cancel", json={"at": "period_end"}, headers=expected)
    assert cancel.status_code == 200
    resume = await ada.post("/v1/me/subscription/resume", headers={"if-match": f'"{cancel.json()["version"]}"'})
    assert resume.status_code == 200


def cursor(*parts: object) -> str:
    """Return a cursor as a list encodes it."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:60Z", "2027-01-31"]
)
async def test_an_instant_outside_the_years_of_utc_is_refused_wherever_it_is_read(
    platform: Platform, text: str
) -> None:
    admin, me = await platform.signed_in(), "/v1/me"
    user = (await admin.get(me)).json()["id"]
    position = [text, str(uuid4())]
    for path, name in (
        ("/v1/me/subscriptions", "history"),
        (f"/v1/users/{user}/subscriptions", "history"),
        ("/v1/me/sessions", "sessions"),
        (f"/v1/users/{user}/sessions", "sessions"),
    ):
        answer = await admin.get(path, params={"cursor": cursor(name, position)})
        assert problem(answer) == (400, "invalid-cursor"), path
    ends = {"ends_after": START_OF_2027}
    for query, name in ((ends, "subscriptions-by-end"), ({"ended_after": START_OF_2027}, "subscriptions-by-real-end")):
        answer = await admin.get("/v1/subscriptions", params=query | {"cursor": cursor(name, position)})
        assert problem(answer) == (400, "invalid-cursor")
    for name in ("ends_after", "ends_before", "ended_after", "ended_before"):
        answer = await admin.get("/v1/subscriptions", params={name: text})
        assert (problem(answer), pointers(answer)) == ((400, "invalid-parameter"), {f"/{name}"})
    answer = await admin.put("/v1/test-clock", json={"now": text})
    assert (problem(answer), pointers(answer)) == ((422, "validation-failed"), {"/now"})


async def test_the_clock_can_be_set_to_a_leap_second(platform: Platform) -> None:
    answer = await (await platform.signed_in()).put("/v1/test-clock", json={"now": "2028-06-30T23:59:60Z"})
    assert (answer.status_code, answer.json()) == (200, {"now": "2028-07-01T00:00:00Z"})


async def test_a_new_currency_needs_a_new_amount(platform: Platform) -> None:
    """1990 is 19.90 USD, and 1990 JPY."""
    await platform.offer()
    admin = await platform.signed_in()
    for body in ({"price": {"currency": "JPY"}}, {"price": {"currency": "USD"}, "name": "New"}):
        answer = await admin.patch("/v1/plans/pro", json=body)
        assert (problem(answer), pointers(answer)) == ((422, "validation-failed"), {"/price/amount"})
    both = await admin.patch("/v1/plans/pro", json={"price": {"currency": "JPY"}, "period": "P999Y"})
    assert pointers(both) == {"/price/amount", "/period"}
    assert (await admin.get("/v1/plans/pro")).json()["version"] == 1
    moved = await admin.patch("/v1/plans/pro", json={"price": {"amount": 2900, "currency": "JPY"}})
    assert moved.json()["price"] == {"amount": 2900, "currency": "JPY"}
    assert (await admin.patch("/v1/plans/pro", json={"price": {"amount": 3000}})).json()["price"]["currency"] == "JPY"


async def test_errors_name_the_plan_as_the_request_named_it(platform: Platform) -> None:
    plan = await platform.offer()
    old = await platform.offer("old")
    bare = await platform.offer("bare", trial_period=None)
    admin, ada = await platform.signed_in(), await platform.registered("ada@example.com")
    assert (await admin.post("/v1/plans/old/archive")).status_code == 200
    assert (await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})).status_code == 201
    assert (await ada.post("/v1/me/subscription/cancel")).status_code == 200
    cases = {
        "trial-already-used": ("trial", plan),
        "plan-archived": ("trial", old),
        "plan-has-no-trial": ("trial", bare),
    }
    for slug, (action, one) in cases.items():
        for named in (one["code"], one["id"]):
            answer = await ada.post(f"/v1/me/subscription/{action}", json={"plan": named})
            assert problem(answer) == (409, slug)
            assert repr(named) in answer.json()["detail"]
    for named in (old["code"], old["id"]):
        answer = await ada.post("/v1/me/subscription/activate", json={"plan": named})
        assert problem(answer) == (409, "plan-archived")
        assert repr(named) in answer.json()["detail"]
