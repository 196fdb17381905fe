"""The rules for every request: errors, media types, origins, limits, methods, headers, paging, preconditions, keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from tests.support.http_platform import ORIGIN, PASSWORD, START, Platform, pointers, problem, serving

JSON = {"content-type": "application/json"}
LOGIN = {"email": "nobody@example.com", "password": "wrong"}


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Platform]:
    async with serving(database_url) as platform:
        yield platform


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
async def test_a_body_that_is_not_json_is_refused_with_415_before_any_other_check(
    platform: Platform, content_type: str
) -> None:
    """Also if the request is cross-origin and the caller is not signed in."""
    visitor = await platform.visitor()
    headers = {"content-type": content_type, "sec-fetch-site": "cross-site"}
    for path in ("/v1/auth/login", "/v1/plans", "/v1/me/subscription/trial"):
        answer = await visitor.post(path, content=b"{}", headers=headers)
        assert problem(answer) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"']
)
async def test_the_media_type_of_json_may_have_a_charset_and_any_case(platform: Platform, content_type: str) -> None:
    body = json.dumps(LOGIN).encode()
    answer = await (await platform.visitor()).post(
        "/v1/auth/login", content=body, headers={"content-type": content_type}
    )
    assert problem(answer) == (401, "invalid-credentials")


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": ORIGIN}, False),
        ({"sec-fetch-site": "same-origin", "origin": "https://evil.example"}, True),
        ({"origin": ORIGIN}, True),
        ({"origin": "http://smp.example:80"}, True),
        ({"origin": "http://smp.example:8080"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://smp.example.evil.example"}, False),
        ({"sec-fetch-site": "", "origin": ORIGIN}, False),
    ],
)
async def test_a_page_of_another_origin_cannot_change_anything(
    platform: Platform,
    headers: dict[str, str],
    passes: bool,  # noqa: FBT001
) -> None:
    """Go 1.25's rule; another port is another origin."""
    visitor = await platform.visitor()
    answers = [
        await visitor.request(method, path, content=b"{}", headers=JSON | headers)
        for method, path in (
            ("POST", "/v1/auth/login"),
            ("PUT", "/v1/me/password"),
            ("PATCH", "/v1/plans/pro"),
            ("DELETE", "/v1/me/sessions"),
        )
    ]
    refused = [problem(answer)[1] == "cross-origin-request" for answer in answers]
    assert refused == [not passes] * 4
    assert (await visitor.get("/v1/plans", headers=headers)).status_code == 200


async def test_a_body_that_is_too_large_is_refused_with_413_also_without_a_declared_length(platform: Platform) -> None:
    visitor = await platform.visitor()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b" " * 1024

    for content in (b" " * 65_537, chunks()):
        answer = await visitor.post("/v1/auth/login", content=content, headers=JSON)
        assert problem(answer) == (413, "content-too-large")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 5_000,
        b'{"a":' * 5_000,
        b'"\\ud800"',
        b'{"email": "\xed\xa0\x80"}',
        b"NaN",
        b"1e400",
        b"\xef\xbb\xbf{}",
    ],
)
async def test_a_body_with_malformed_json_is_refused_with_400(platform: Platform, body: bytes) -> None:
    answer = await (await platform.visitor()).post("/v1/auth/login", content=body, headers=JSON)
    assert problem(answer) == (400, "malformed-request")


@pytest.mark.parametrize("body", [b"null", b"[]", b'""', b"7", b"true"])
async def test_a_json_body_that_is_not_an_object_is_refused_with_422(platform: Platform, body: bytes) -> None:
    answer = await (await platform.visitor()).post("/v1/auth/login", content=body, headers=JSON)
    assert problem(answer) == (422, "validation-failed")


async def test_a_missing_body_is_refused_with_400(platform: Platform) -> None:
    assert problem(await (await platform.visitor()).post("/v1/auth/login")) == (400, "malformed-request")


async def test_all_bad_fields_are_reported_together(platform: Platform) -> None:
    admin = await platform.signed_in()
    plan = {
        "code": "Not A Slug",
        "price": {"amount": -1, "currency": "XXX", "tax": 1},
        "period": "P0D",
        "trial_period": "P1M2D",
        "features": {"Seats": 1, "export": 1.5, "limit": -1},
        "colour": "red",
    }
    answer = await admin.post("/v1/plans", json=plan)
    assert problem(answer) == (422, "validation-failed")
    assert pointers(answer) == {
        "/code", "/name", "/price/amount", "/price/currency", "/price/tax", "/period", "/trial_period",
        "/features/Seats", "/features/export", "/features/limit", "/colour",
    }  # fmt: skip


async def test_unknown_paths_and_methods_are_answered_with_problem_details(platform: Platform) -> None:
    visitor = await platform.visitor()
    assert problem(await visitor.get("/v1/nothing")) == (404, "not-found")
    answer = await visitor.delete("/v1/plans")
    assert problem(answer) == (405, "method-not-allowed")
    assert {method.strip() for method in answer.headers["allow"].split(",")} >= {"GET", "HEAD", "POST"}
    answer = await visitor.post("/v1/me/access/seats")
    assert problem(answer) == (405, "method-not-allowed")
    assert "GET" in answer.headers["allow"]


async def test_head_is_answered_as_get_without_the_body(platform: Platform) -> None:
    await platform.offer()
    admin = await platform.signed_in()
    for path in (
        "/v1/plans",
        "/v1/plans/pro",
        "/v1/me",
        "/v1/me/access",
        "/v1/me/subscription",
        "/health/live",
        "/docs",
    ):
        get, head = await admin.get(path), await admin.head(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.headers.get("etag") == get.headers.get("etag")


async def test_every_response_has_the_request_id_and_the_security_headers(platform: Platform) -> None:
    admin = await platform.signed_in()
    for method, path in (
        ("GET", "/v1/me"),
        ("GET", "/nothing"),
        ("DELETE", "/v1/plans"),
        ("POST", "/v1/plans"),
        ("OPTIONS", "/v1/me"),
    ):
        answer = await admin.request(method, path)
        assert len(answer.headers["x-request-id"]) == 36
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
    answer = await admin.get("/v1/me", headers={"x-request-id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    answer = await admin.get("/v1/me", headers={"x-request-id": "not sane\tat all"})
    assert answer.headers["x-request-id"] != "not sane\tat all"


@pytest.mark.parametrize(
    ("query", "bad"),
    [
        ("colour=red", {"/colour"}),
        ("limit=1&limit=1", {"/limit"}),
        ("limit=0", {"/limit"}),
        ("limit=101", {"/limit"}),
        ("limit=ten", {"/limit"}),
        ("limit=10000000000000000000000", {"/limit"}),
        ("status=frozen", {"/status"}),
        ("user_id=me", {"/user_id"}),
        ("ends_before=tomorrow", {"/ends_before"}),
        ("ends_after=2027-01-31", {"/ends_after"}),
        ("ends_after=2027-01-31T10:00:00", {"/ends_after"}),
        ("ends_before=10000-01-01T00:00:00Z", {"/ends_before"}),
        ("ends_after=0001-01-01T00:00:00%2B14:00", {"/ends_after"}),
    ],
)
async def test_a_bad_parameter_is_refused_with_400_and_named(platform: Platform, query: str, bad: set[str]) -> None:
    answer = await (await platform.signed_in()).get(f"/v1/subscriptions?{query}")
    assert problem(answer) == (400, "invalid-parameter")
    assert pointers(answer) == bad


@pytest.mark.parametrize("query", ["email=%00", "email=%ff", "plan=%00"])
async def test_a_parameter_that_is_not_utf_8_text_is_refused_with_400(platform: Platform, query: str) -> None:
    assert problem(await (await platform.signed_in()).get(f"/v1/subscriptions?{query}")) == (400, "invalid-parameter")


@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "%00", "A" * 990, "WyJwbGFucyIsWzEsIngiXV0", "WyJzdWJzY3JpcHRpb25zIl0"]
)
async def test_a_cursor_that_the_list_did_not_return_is_refused_with_400(platform: Platform, cursor: str) -> None:
    answer = await (await platform.signed_in()).get(f"/v1/subscriptions?cursor={cursor}")
    assert problem(answer)[0] == 400


async def test_paging_skips_and_repeats_no_item_while_the_list_grows(platform: Platform) -> None:
    """Newer rows are before the first page; later pages stay the same."""
    for number in range(7):
        await platform.registered(f"user{number}@example.com")
    await platform.offer(price={"amount": 0, "currency": "USD"})
    for number in range(5):
        user = await platform.signed_in(f"user{number}@example.com")
        assert (await user.post("/v1/me/subscription/activate", json={"plan": "pro"})).status_code == 201
    admin = await platform.signed_in()
    everything = (await admin.get("/v1/subscriptions")).json()["items"]
    seen: list[str] = []
    cursor: str | None = ""
    number = 5
    while cursor is not None:
        page = (await admin.get(f"/v1/subscriptions?limit=2{cursor and '&cursor=' + cursor}")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if number < 7:
            user = await platform.signed_in(f"user{number}@example.com")
            assert (await user.post("/v1/me/subscription/activate", json={"plan": "pro"})).status_code == 201
            number += 1
    assert seen == [item["id"] for item in everything]


async def test_if_match_refuses_a_stale_version_and_if_none_match_saves_the_body(platform: Platform) -> None:
    plan = await platform.offer()
    admin = await platform.signed_in()
    seen = await admin.get("/v1/plans/pro")
    assert seen.headers["etag"] == f'"{plan["version"]}"'
    assert (await admin.get("/v1/plans/pro", headers={"if-none-match": seen.headers["etag"]})).status_code == 304
    changed = await admin.patch("/v1/plans/pro", json={"name": "New"}, headers={"if-match": seen.headers["etag"]})
    assert changed.status_code == 200
    for stale in (seen.headers["etag"], f"W/{seen.headers['etag']}", '"x"', "nonsense"):
        answer = await admin.patch("/v1/plans/pro", json={"name": "Newer"}, headers={"if-match": stale})
        assert problem(answer) == (412, "precondition-failed")
    both = f"{seen.headers['etag']}, {changed.headers['etag']}"
    assert (await admin.patch("/v1/plans/pro", json={"name": "Newer"}, headers={"if-match": both})).status_code == 200
    assert (await admin.post("/v1/plans/pro/archive", headers={"if-match": "*"})).status_code == 200


async def test_only_one_of_many_parallel_changes_of_the_same_version_succeeds(platform: Platform) -> None:
    await platform.offer()
    admin = await platform.signed_in()
    answers = await asyncio.gather(
        *(admin.patch("/v1/plans/pro", json={"name": f"N{n}"}, headers={"if-match": '"1"'}) for n in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 9]


def response_of(answer: httpx.Response) -> tuple[int, bytes, str | None, str | None]:
    return answer.status_code, answer.content, answer.headers.get("location"), answer.headers.get("etag")


async def test_a_repeated_idempotency_key_gets_the_first_response_again(platform: Platform) -> None:
    """Status, body, Location and ETag, from any browser of the same caller; nothing happens twice."""
    await platform.offer()
    ada, again = await platform.registered("ada@example.com"), await platform.signed_in("ada@example.com")
    key = {"idempotency-key": "k-1"}
    first = await ada.post("/v1/me/subscription/activate", json={"plan": "pro"}, headers=key)
    second = await again.post("/v1/me/subscription/activate", json={"plan": "pro"}, headers=key)
    assert first.status_code == 201
    assert "idempotency-replayed" not in first.headers
    assert response_of(second) == response_of(first)
    assert second.headers["idempotency-replayed"] == "true"
    events = await ada.get(f"{first.headers['location']}/events")
    assert len(events.json()["items"]) == 1


async def test_an_idempotency_key_belongs_to_one_request_of_one_caller(platform: Platform) -> None:
    await platform.offer()
    await platform.offer("other")
    ada, ben = await platform.registered("ada@example.com"), await platform.registered("ben@example.com")
    key = {"idempotency-key": "k-1"}
    assert (await ada.post("/v1/me/subscription/trial", json={"plan": "pro"}, headers=key)).status_code == 201
    other = await ada.post("/v1/me/subscription/trial", json={"plan": "other"}, headers=key)
    assert problem(other) == (422, "idempotency-key-reused")
    elsewhere = await ada.post("/v1/me/subscription/activate", json={"plan": "pro"}, headers=key)
    assert problem(elsewhere) == (422, "idempotency-key-reused")
    assert (await ben.post("/v1/me/subscription/trial", json={"plan": "pro"}, headers=key)).status_code == 201


async def test_the_key_of_a_registration_belongs_to_the_email(platform: Platform) -> None:
    """Anonymous callers choose keys that others choose, too: a counter, a fixed text of a client library."""
    visitor, key = await platform.visitor(), {"idempotency-key": "1"}
    bodies = [{"email": f"{name}@example.com", "password": PASSWORD} for name in ("ada", "ben", "cy")]
    first = [await visitor.post("/v1/auth/register", json=body, headers=key) for body in bodies]
    assert [answer.status_code for answer in first] == [201] * 3
    for body, answer in zip(bodies, first, strict=True):
        spelled = body | {"email": body["email"].upper()}
        assert problem(await visitor.post("/v1/auth/register", json=spelled, headers=key))[0] == 422
        again = [visitor.post("/v1/auth/register", json=body, headers=key) for _ in range(5)]
        for repeated in await asyncio.gather(*again):
            assert response_of(repeated) == response_of(answer)
            assert repeated.headers["idempotency-replayed"] == "true"
    other = {"email": "ada@example.com", "password": f"{PASSWORD}!"}
    assert problem(await visitor.post("/v1/auth/register", json=other, headers=key)) == (422, "idempotency-key-reused")


async def test_a_repeated_request_gets_a_declined_payment_again_but_other_refusals_are_decided_again(
    platform: Platform,
) -> None:
    await platform.offer()
    ada = await platform.registered("ada@example.com")

    async def ask(key: str, path: str, body: object) -> httpx.Response:
        return await ada.post(f"/v1/me/subscription/{path}", json=body, headers={"idempotency-key": key})

    declined = {"plan": "pro", "payment_method": "sim_declined"}
    down = {"plan": "pro", "payment_method": "sim_down"}
    first = await ask("declined", "activate", declined)
    assert problem(first) == (402, "payment-declined")
    assert problem(await ask("unknown", "activate", {"plan": "max"})) == (404, "plan-not-found")
    assert problem(await ask("cancel", "cancel", {})) == (404, "no-live-subscription")
    assert problem(await ask("invalid", "activate", {"plan": 7})) == (422, "validation-failed")
    assert problem(await ask("down", "activate", down)) == (503, "payment-unavailable")
    again = await ask("declined", "activate", declined)
    assert (again.status_code, again.content) == (402, first.content)
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    await platform.offer("max")
    assert (await ask("unknown", "activate", {"plan": "max"})).status_code == 201
    assert problem(await ask("invalid", "trial", {"plan": "pro"})) == (409, "live-subscription-exists")
    cancelled = await ask("cancel", "cancel", {})
    assert cancelled.status_code == 200
    assert "idempotency-replayed" not in cancelled.headers


async def test_an_idempotency_key_can_be_used_again_after_a_day(platform: Platform) -> None:
    await platform.offer()
    ada = await platform.registered("ada@example.com")

    async def activate(key: str) -> httpx.Response:
        return await ada.post("/v1/me/subscription/activate", json={"plan": "pro"}, headers={"idempotency-key": key})

    first = await activate("k")
    assert (await ada.post("/v1/me/subscription/cancel")).status_code == 200
    await platform.set_clock(START + timedelta(hours=23))
    again = await activate("k")
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (201, first.content, "true")
    await platform.set_clock(START + timedelta(hours=25))
    new = await activate("k")
    assert new.status_code == 201
    assert new.json()["id"] != first.json()["id"]


async def test_parallel_requests_with_one_idempotency_key_take_effect_once(platform: Platform) -> None:
    """Every other request gets the same response, or is refused while the first one runs.

    The claim has no gap: PostgreSQL releases the lock of the key after the commit is visible, so the request that gets
    the lock next finds the outcome when it reads again. The pool must be patient, or a busy machine adds a 503.
    """
    await platform.offer()
    ada = await platform.registered("ada@example.com")
    answers = await asyncio.gather(
        *(
            ada.post("/v1/me/subscription/activate", json={"plan": "pro"}, headers={"idempotency-key": "k"})
            for _ in range(12)
        )
    )
    done = [answer for answer in answers if answer.status_code == 201]
    assert done
    assert len({answer.content for answer in done}) == 1
    for answer in answers:
        if answer.status_code != 201:
            assert problem(answer) == (409, "request-in-progress")
            assert answer.headers["retry-after"] == "1"
    assert len((await ada.get("/v1/me/subscriptions")).json()["items"]) == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "two words"])
async def test_an_idempotency_key_has_1_to_255_characters_without_spaces(platform: Platform, key: str) -> None:
    answer = await (await platform.visitor()).post(
        "/v1/auth/register", json={"email": "a@example.com", "password": PASSWORD}, headers={"idempotency-key": key}
    )
    assert problem(answer) == (400, "malformed-request")


async def test_the_stored_response_of_a_registration_has_no_fast_hash_of_the_password(
    platform: Platform, pool: PostgresPool
) -> None:
    """Another password under the same key is another request."""
    visitor = await platform.visitor()
    key = {"idempotency-key": "k"}
    first = await visitor.post("/v1/auth/register", json={"email": "a@example.com", "password": PASSWORD}, headers=key)
    again = await visitor.post("/v1/auth/register", json={"email": "a@example.com", "password": PASSWORD}, headers=key)
    other = await visitor.post(
        "/v1/auth/register", json={"email": "a@example.com", "password": PASSWORD[::-1]}, headers=key
    )
    assert response_of(first) == response_of(again)
    assert problem(other) == (422, "idempotency-key-reused")
    kept = await pool.rows(sql("SELECT t::text FROM idempotency_keys AS t"))
    assert len(kept) == 1
    assert PASSWORD not in kept[0][0]


async def test_a_value_of_another_type_is_refused_and_never_converted(platform: Platform) -> None:
    """A number in quotes is a text, an integer is not an instant, and a text is not a boolean."""
    admin = await platform.signed_in()
    plan = {
        "code": "pro",
        "name": 7,
        "price": {"amount": "1990", "currency": "USD"},
        "period": 30,
        "features": {"a": [1]},
    }
    answer = await admin.post("/v1/plans", json=plan)
    assert problem(answer) == (422, "validation-failed")
    assert pointers(answer) == {"/name", "/price/amount", "/period", "/features/a"}
    clock = await admin.put("/v1/test-clock", json={"now": 1_800_000_000, "sweep": "true"})
    assert pointers(clock) == {"/now", "/sweep"}
    user = await admin.patch(
        f"/v1/users/{(await admin.get('/v1/me')).json()['id']}", json={"disabled": "false", "role": "root"}
    )
    assert pointers(user) == {"/disabled", "/role"}
