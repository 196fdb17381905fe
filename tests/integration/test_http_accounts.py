"""Accounts and sessions over HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from dishka import Provider, Scope
from structlog.testing import capture_logs

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.ports.clock import RealTime
from tests.support.http_platform import ADMIN, PASSWORD, START, Platform, captured_log, pointers, problem, serving
from tests.support.storage import SetRealTime

NEW_PASSWORD = "another horse battery staple"


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Platform]:
    async with serving(database_url) as platform:
        yield platform


async def test_registering_creates_a_user_without_signing_in(platform: Platform) -> None:
    visitor = await platform.visitor()
    answer = await visitor.post("/v1/auth/register", json={"email": "Ada@Example.com", "password": PASSWORD})
    assert answer.status_code == 201
    user = answer.json()
    assert set(user) == {"id", "email", "role", "disabled", "created_at"}
    assert (user["email"], user["role"], user["disabled"]) == ("Ada@Example.com", "user", False)
    assert user["created_at"] == "2027-01-31T10:00:00Z"
    assert answer.headers["location"] == f"/v1/users/{user['id']}"
    assert "set-cookie" not in answer.headers
    again = await visitor.post("/v1/auth/register", json={"email": "aDA@example.COM", "password": PASSWORD})
    assert problem(again) == (409, "email-taken")


@pytest.mark.parametrize(
    "email", ["ada", "@example.com", "ada@", "a da@example.com", "ada@exa mple.com", "\x00@example.com", ""]
)
async def test_a_bad_email_and_a_weak_password_are_reported_together(platform: Platform, email: str) -> None:
    answer = await (await platform.visitor()).post("/v1/auth/register", json={"email": email, "password": "short"})
    assert problem(answer) == (422, "validation-failed")
    assert pointers(answer) == {"/email", "/password"}


@pytest.mark.parametrize(
    ("password", "status"),
    [
        ("zaxqwmkpvtzrwq", 422),
        ("zaxqwmkpvtzrwqm", 201),
        ("éàîœßñçøåüêõæþð", 201),
        ("🐎🔋📎🦀🌵🍋🚲🎲🧭🪐🎻🧊🌋🪁🦉", 201),
        (" " * 15, 422),
        ("zaxqwmkpvtzrwqm:" * 64, 201),
        ("x" * 1025, 422),
        ("qwertyuiop12345", 422),
        ("passwordpassword", 422),
    ],
)
async def test_a_password_is_accepted_if_it_is_long_enough_and_not_common(
    platform: Platform, password: str, status: int
) -> None:
    answer = await (await platform.visitor()).post(
        "/v1/auth/register", json={"email": "a@x.test", "password": password}
    )
    assert answer.status_code == status


async def test_a_caller_cannot_choose_a_role_when_registering(platform: Platform) -> None:
    body = {"email": "a@x.test", "password": PASSWORD, "role": "admin"}
    answer = await (await platform.visitor()).post("/v1/auth/register", json=body)
    assert problem(answer) == (422, "validation-failed")
    assert pointers(answer) == {"/role"}


async def test_the_session_cookie_works_without_https_in_development(platform: Platform) -> None:
    answer = await (await platform.visitor()).post("/v1/auth/login", json={"email": ADMIN, "password": PASSWORD})
    name_and_value, *attributes = answer.headers["set-cookie"].split("; ")
    name, _, token = name_and_value.partition("=")
    assert name == "smp_session"
    assert len(token) == 32 + 43
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=43200"}
    assert token not in answer.text


async def test_the_session_cookie_needs_https_in_production(database_url: str) -> None:
    async with serving(database_url, SMP_ENV="production") as platform:
        answer = await (await platform.visitor()).post("/v1/auth/login", json={"email": ADMIN, "password": PASSWORD})
        name_and_value, *attributes = answer.headers["set-cookie"].split("; ")
        assert name_and_value.startswith("__Host-smp_session=")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes)
        assert "max-age=31536000" in answer.headers["strict-transport-security"]
        assert problem(await (await platform.signed_in()).get("/v1/test-clock")) == (404, "not-found")


async def test_the_database_stores_only_the_digest_of_a_session_token(platform: Platform, pool: PostgresPool) -> None:
    admin = await platform.signed_in()
    token = admin.headers["cookie"].partition("=")[2]
    rows = await pool.rows(sql("SELECT s::text, length(token_digest) FROM sessions AS s"))
    assert [row[1] for row in rows] == [32]
    assert token not in rows[0][0]
    assert token.encode().hex() not in rows[0][0]


async def test_a_failed_login_looks_the_same_for_an_unknown_email_a_wrong_password_and_a_disabled_user(
    platform: Platform,
) -> None:
    await platform.registered("ada@example.com")
    ben = await platform.registered("ben@example.com")
    user_id = (await ben.get("/v1/me")).json()["id"]
    await (await platform.signed_in()).patch(f"/v1/users/{user_id}", json={"disabled": True})
    visitor = await platform.visitor()
    answers = [
        await visitor.post("/v1/auth/login", json={"email": email, "password": password})
        for email, password in (
            ("x@example.com", PASSWORD),
            ("ada@example.com", "wrong"),
            ("ben@example.com", PASSWORD),
        )
    ]
    assert {problem(answer) for answer in answers} == {(401, "invalid-credentials")}
    assert len({answer.content for answer in answers}) == 1


async def test_a_failed_login_is_a_warning_with_its_source_and_a_digest_of_the_account(platform: Platform) -> None:
    """Attempts on one account have one digest, also if it does not exist; no line has the email."""
    ada = await platform.registered("ada@example.com")
    user_id = (await ada.get("/v1/me")).json()["id"]
    visitor = await platform.visitor()
    with capture_logs() as lines:
        for email in ("ADA@example.com", "ada@example.com", "nobody@example.com"):
            await visitor.post("/v1/auth/login", json={"email": email, "password": "wrong"})
        await ada.put("/v1/me/password", json={"current_password": "wrong", "new_password": NEW_PASSWORD})
        await visitor.post("/v1/auth/login", json={}, headers={"sec-fetch-site": "cross-site"})
        await ada.get("/v1/statistics")
        await ada.post("/v1/auth/login", json={"email": "ada@example.com", "password": PASSWORD})
    lines = [line for line in lines if line["event"] == "request"]
    assert [(line["log_level"], line["status"], line["actor"]) for line in lines] == [
        *[("warning", 401, "anonymous")] * 3,
        ("warning", 401, f"user:{user_id}"),
        ("warning", 403, "anonymous"),
        ("info", 403, f"user:{user_id}"),
        ("info", 200, "anonymous"),
    ]
    assert {line["source"] for line in lines} == {"127.0.0.1"}
    accounts = [line.get("account") for line in lines]
    assert accounts[0] == accounts[1] == accounts[6] != accounts[2]
    assert [account is None for account in accounts] == [False] * 3 + [True] * 3 + [False]
    assert "example.com" not in str(lines)


async def test_logging_in_ends_the_session_that_the_client_had_and_starts_a_new_one(platform: Platform) -> None:
    ada = await platform.registered("ada@example.com")
    visitor = await platform.visitor()
    body = {"email": "ada@example.com", "password": PASSWORD}
    planted = await visitor.post("/v1/auth/login", json=body, headers={"cookie": "smp_session=planted"})
    assert "planted" not in planted.headers["set-cookie"]
    assert problem(await visitor.get("/v1/me", headers={"cookie": "smp_session=planted"}))[0] == 401
    again = await ada.post("/v1/auth/login", json=body)
    assert again.status_code == 200
    assert problem(await ada.get("/v1/me")) == (401, "not-authenticated")


async def test_a_session_cannot_be_used_after_logging_out(platform: Platform) -> None:
    ada = await platform.registered("ada@example.com")
    answer = await ada.post("/v1/auth/logout")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert problem(await ada.get("/v1/me")) == (401, "not-authenticated")


async def test_a_user_can_list_and_end_sessions(platform: Platform) -> None:
    first = await platform.registered("ada@example.com")
    second, third = await platform.signed_in("ada@example.com"), await platform.signed_in("ada@example.com")
    listed = (await first.get("/v1/me/sessions")).json()["items"]
    assert len(listed) == 3
    assert [session["current"] for session in listed].count(True) == 1
    of_third = next(session for session in (await third.get("/v1/me/sessions")).json()["items"] if session["current"])
    assert (await first.delete(f"/v1/me/sessions/{of_third['id']}")).status_code == 204
    assert (await third.get("/v1/me")).status_code == 401
    assert problem(await first.delete(f"/v1/me/sessions/{of_third['id']}")) == (404, "session-not-found")
    ben = await platform.registered("ben@example.com")
    of_ben = (await ben.get("/v1/me/sessions")).json()["items"][0]["id"]
    assert problem(await first.delete(f"/v1/me/sessions/{of_ben}")) == (404, "session-not-found")
    assert (await first.delete("/v1/me/sessions")).status_code == 204
    assert [(await one.get("/v1/me")).status_code for one in (first, second, ben)] == [200, 401, 200]


async def test_changing_the_password_renews_the_cookie_and_ends_every_other_session(platform: Platform) -> None:
    ada, other = await platform.registered("ada@example.com"), await platform.signed_in("ada@example.com")
    wrong = {"current_password": "wrong", "new_password": NEW_PASSWORD}
    assert problem(await ada.put("/v1/me/password", json=wrong)) == (401, "invalid-credentials")
    weak = await ada.put("/v1/me/password", json={"current_password": PASSWORD, "new_password": "short"})
    assert (problem(weak), pointers(weak)) == ((422, "validation-failed"), {"/new_password"})
    right = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    changed = await ada.put("/v1/me/password", json=right)
    assert changed.status_code == 204
    assert [(await one.get("/v1/me")).status_code for one in (ada, other)] == [401, 401]
    cookie, *attributes = changed.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Max-Age=2592000"} <= set(attributes)
    assert (await other.get("/v1/me", headers={"cookie": cookie})).status_code == 200
    visitor = await platform.visitor()
    answers = [
        await visitor.post("/v1/auth/login", json={"email": "ada@example.com", "password": password})
        for password in (PASSWORD, NEW_PASSWORD)
    ]
    assert [answer.status_code for answer in answers] == [401, 200]


@pytest.mark.parametrize(
    ("email", "idle", "absolute"),
    [("ada@example.com", timedelta(days=7), timedelta(days=30)), (ADMIN, timedelta(minutes=30), timedelta(hours=12))],
)
async def test_a_session_ends_when_it_is_unused_too_long_and_at_its_maximum_age(
    platform: Platform, email: str, idle: timedelta, absolute: timedelta
) -> None:
    """At the exact end it is over; each use restarts the idle time, but not the maximum age."""
    if email != ADMIN:
        await platform.registered(email)
    used, unused = await platform.signed_in(email), await platform.signed_in(email)
    tick = timedelta(microseconds=1)
    await platform.set_clock(START + idle - tick)
    assert (await used.get("/v1/me")).status_code == 200
    await platform.set_clock(START + idle)
    assert (await unused.get("/v1/me")).status_code == 401
    now = START + idle
    while now + idle / 2 < START + absolute:
        now += idle / 2
        await platform.set_clock(now)
        assert (await used.get("/v1/me")).status_code == 200
    await platform.set_clock(START + absolute - tick)
    assert (await used.get("/v1/me")).status_code == 200
    await platform.set_clock(START + absolute)
    assert (await used.get("/v1/me")).status_code == 401


async def test_after_ten_wrong_passwords_the_account_waits_longer_each_time(database_url: str) -> None:
    """The right password has to wait too, another account does not, and the wait always ends, in real time."""
    real_time, replaced = SetRealTime(), Provider(scope=Scope.APP)
    replaced.provide(lambda: real_time, provides=RealTime, override=True)
    async with serving(database_url, replaced) as platform:
        await platform.registered("ada@example.com")
        await platform.registered("ben@example.com")
        visitor = await platform.visitor()

        async def attempt(email: str, password: str) -> tuple[int, int | None]:
            answer = await visitor.post("/v1/auth/login", json={"email": email, "password": password})
            return answer.status_code, int(answer.headers["retry-after"]) if "retry-after" in answer.headers else None

        assert [await attempt("ada@example.com", "wrong") for _ in range(10)] == [(401, None)] * 10
        assert await attempt("ADA@example.com", "wrong") == (429, 30)
        await platform.set_clock(START + timedelta(days=1))
        assert await attempt("ada@example.com", PASSWORD) == (429, 30)
        assert (await attempt("ben@example.com", PASSWORD))[0] == 200
        real_time.instant += timedelta(seconds=30)
        assert (await attempt("ada@example.com", "wrong"))[0] == 401
        assert await attempt("ada@example.com", PASSWORD) == (429, 60)
        real_time.instant += timedelta(seconds=60)
        assert (await attempt("ada@example.com", PASSWORD))[0] == 200
        assert (await attempt("ada@example.com", "wrong"))[0] == 401


async def test_parallel_wrong_passwords_are_all_counted(platform: Platform) -> None:
    visitor = await platform.visitor()
    body = {"email": "ada@example.com", "password": "wrong"}
    answers = await asyncio.gather(*(visitor.post("/v1/auth/login", json=body) for _ in range(40)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) <= 10
    assert set(statuses) <= {401, 429, 503}
    assert 429 in statuses


async def test_the_log_has_no_secrets(platform: Platform) -> None:
    """Passwords, tokens and keys, in bodies, cookies and headers, of requests that succeed or fail."""
    handler, kept = captured_log()
    logging.getLogger().addHandler(handler)
    try:
        ada = await platform.registered("canary@example.com")
        service = await platform.service()
        await service.get("/v1/users/x/access/seats")
        await ada.post("/v1/auth/login", json={"email": "canary@example.com", "password": "canary-wrong-password"})
        await ada.put("/v1/me/password", json={"current_password": PASSWORD, "new_password": NEW_PASSWORD})
        await ada.post(
            "/v1/auth/login", content=b'{"password": "canary-broken', headers={"content-type": "application/json"}
        )
    finally:
        logging.getLogger().removeHandler(handler)
    secrets = [PASSWORD, NEW_PASSWORD, "canary-wrong-password", "canary-broken"]
    secrets += [ada.headers["cookie"].partition("=")[2], service.headers["authorization"].removeprefix("Bearer ")]
    assert not [secret for secret in secrets if secret in kept.getvalue()]


async def test_of_several_session_cookies_the_valid_one_counts(platform: Platform) -> None:
    """Whatever their order, and if they come in several headers; a sign-in ends the sessions of all of them."""
    ada = await platform.registered("ada@example.com")
    valid = ada.headers["cookie"]
    token = valid.partition("=")[2]
    planted = f"{platform.cookie}={token[:32]}planted"
    visitor = await platform.visitor()
    for cookies in ([valid, planted], [planted, valid], [f"{planted}; a=b;{valid}"], [*[planted] * 9, valid]):
        headers = [("cookie", cookie) for cookie in cookies]
        answers = [await visitor.get(path, headers=headers) for path in ("/v1/me", "/v1/me/access")]
        assert [answer.status_code for answer in answers] == [200, 200]
    many = "; ".join(f"{platform.cookie}={token[:32]}{number}" for number in range(5))
    assert (await visitor.get("/v1/me", headers={"cookie": f"{many}; {valid}"})).status_code == 401
    login = {"email": "ada@example.com", "password": PASSWORD}
    assert (await visitor.post("/v1/auth/login", json=login, headers={"cookie": f"{planted}; {valid}"})).is_success
    assert (await ada.get("/v1/me")).status_code == 401


async def test_a_source_may_register_30_accounts_in_15_minutes(database_url: str) -> None:
    """Refusals because the email is taken count; bad values do not. Sign-ins and other sources go on."""
    async with serving(database_url, SMP_TRUSTED_PROXIES="1") as platform:
        visitor = await platform.visitor()

        async def register(email: str, source: str = "192.0.2.1", password: str = PASSWORD) -> httpx.Response:
            body = {"email": email, "password": password}
            return await visitor.post("/v1/auth/register", json=body, headers={"x-forwarded-for": source})

        assert [(await register("ann@example.com", password="short")).status_code for _ in range(31)] == [422] * 31
        assert (await register("ann@example.com")).status_code == 201
        assert [problem(await register("ann@example.com"))[1] for _ in range(29)] == ["email-taken"] * 29
        refused = await register("ben@example.com")
        assert problem(refused) == (429, "too-many-registrations")
        assert 0 < int(refused.headers["retry-after"]) <= 900
        assert (await register("ben@example.com", "192.0.2.2")).status_code == 201
        login = {"email": "ann@example.com", "password": PASSWORD}
        answer = await visitor.post("/v1/auth/login", json=login, headers={"x-forwarded-for": "192.0.2.1"})
        assert answer.status_code == 200


async def test_registration_can_be_closed(database_url: str) -> None:
    async with serving(database_url, SMP_REGISTRATION="closed") as platform:
        body = {"email": "ann@example.com", "password": PASSWORD}
        answer = await (await platform.visitor()).post("/v1/auth/register", json=body)
        assert problem(answer) == (403, "registration-closed")
        admin = await platform.signed_in()
        assert (await admin.post("/v1/auth/register", json=body)).status_code == 201
        assert (await platform.signed_in("ann@example.com")).headers["cookie"]


async def test_an_administrator_may_register_any_number_of_accounts(platform: Platform) -> None:
    """Such as the back end of a product with its own accounts."""
    admin = await platform.signed_in()
    for number in range(32):
        body = {"email": f"user{number}@example.com", "password": PASSWORD}
        assert (await admin.post("/v1/auth/register", json=body)).status_code == 201
    assert (await (await platform.visitor()).post("/v1/auth/register", json=body)).status_code == 409
