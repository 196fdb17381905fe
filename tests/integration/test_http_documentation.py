"""The OpenAPI document and its page, the pages of problems, health and metrics."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest
from dishka import Provider, Scope

from smp import __version__
from smp.adapters.http.problems.table import PROBLEMS
from smp.adapters.http.settings import UP, Readiness
from smp.application.ports.clock import Clock
from smp.application.queries.list_plans import ListPlansHandler
from smp.bootstrap.execution import interface_of
from tests.support.http_platform import PASSWORD, Platform, problem, serving


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Platform]:
    async with serving(database_url) as platform:
        yield platform


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


async def test_responses_match_the_openapi_document(platform: Platform) -> None:
    await platform.offer()
    ada, admin = await platform.registered("ada@example.com"), await platform.signed_in()
    await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})
    document = (await ada.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    for client, path in (
        (ada, "/v1/me"),
        (ada, "/v1/me/sessions"),
        (ada, "/v1/plans"),
        (ada, "/v1/me/subscription"),
        (ada, "/v1/me/subscriptions"),
        (ada, "/v1/me/access"),
        (admin, "/v1/subscriptions"),
        (admin, "/v1/users"),
        (admin, "/v1/statistics"),
        (admin, "/v1/test-clock"),
    ):
        response = document["paths"][path]["get"]["responses"]["200"]
        schema = response["content"]["application/json"]["schema"]
        validator = jsonschema_rs.Draft202012Validator({**schema, "components": {"schemas": schemas}})
        answer = await client.get(path)
        assert answer.status_code == 200
        validator.validate(answer.json())


async def test_an_operation_accepts_exactly_the_parameters_that_are_documented(platform: Platform) -> None:
    """The code and the document have the same names."""
    admin = await platform.signed_in()
    document = (await admin.get("/openapi.json")).json()
    for method, path, operation in operations(document):
        if method != "get":
            continue
        documented = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
        target = re.sub(r"{\w+}", "x", path)
        ends = ("ends_before", "ends_after", "ended_before", "ended_after")
        for name in ("limit", "cursor", "status", "plan", "user_id", "email", *ends, "x"):
            answer = await admin.get(target, params={name: ""})
            unknown = answer.status_code == 400 and "is not a parameter" in answer.text
            assert unknown == (name not in documented), (path, name, answer.text)


async def test_the_root_is_a_page_for_browsers_and_a_json_index_for_programs(platform: Platform) -> None:
    visitor = await platform.visitor()
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = await visitor.get("/", headers={"accept": browser})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["vary"] == "accept"
    index = await visitor.get("/", headers={"accept": "*/*"})
    assert index.json() == {
        "name": "Subscription Management Platform",
        "version": __version__,
        "docs": "/docs",
        "openapi": "/openapi.json",
        "ready": "/health/ready",
    }
    assert (await visitor.get("/", headers={"accept": "application/json, text/html;q=0.5"})).json() == index.json()
    named = re.findall(r'href="([^"]+)"', page.text)
    assert {"/docs", "/openapi.json", "/health/ready", "/favicon.ico"} <= set(named)
    for name in named:
        assert (await visitor.get(name)).status_code == 200


async def test_browsers_get_an_icon_and_search_engines_a_refusal(platform: Platform) -> None:
    visitor = await platform.visitor()
    icon = await visitor.get("/favicon.ico")
    assert (icon.status_code, icon.headers["content-type"]) == (200, "image/x-icon")
    assert icon.content.startswith(b"\x00\x00\x01\x00")
    assert (await visitor.get("/robots.txt")).text == "User-agent: *\nDisallow: /\n"


async def test_the_documentation_page_works_offline(platform: Platform) -> None:
    """The service serves every file that the page needs."""
    visitor = await platform.visitor()
    page = await visitor.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert all(name.startswith(("docs/", "data:")) for name in named)
    for name in named:
        if name.startswith("docs/"):
            assert (await visitor.get(f"/{name}")).status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert '"openapi.json"' in (await visitor.get("/docs/start.js")).text
    for missing in ("/docs/../app.py", "/docs/x", "/docs/LICENSE"):
        assert problem(await visitor.get(missing)) == (404, "not-found")


async def test_every_problem_has_a_page(platform: Platform) -> None:
    visitor = await platform.visitor()
    for shown in PROBLEMS:
        page = await visitor.get(f"/problems/{shown.slug}")
        assert page.status_code == 200
        assert shown.title in page.text
    assert problem(await visitor.get("/problems/unheard-of")) == (404, "not-found")


async def test_health_and_metrics_are_served_without_credentials(platform: Platform) -> None:
    visitor = await platform.visitor()
    assert (await visitor.get("/health/live")).json() == {"status": "live"}
    ready = (await visitor.get("/health/ready")).json()
    up = {"database": "ok", "migrations": "ok", "writes": "ok", "clock": "ok"}
    assert ready == {"status": "ready", "checks": up}
    await visitor.get("/v1/plans")
    await visitor.get("/v1/plans/secret-name")
    await visitor.request("BREW", "/v1/plans")
    text = (await visitor.get("/metrics")).text
    assert 'smp_http_requests_total{method="GET",route="/v1/plans",status="200"} 1.0' in text
    assert 'route="/v1/plans/{plan}",status="404"} 1.0' in text
    assert "secret-name" not in text
    assert "BREW" not in text


class Down(Readiness):
    """A database that does not answer."""

    async def check(self) -> Mapping[str, str]:
        """Report that only the migrations are up."""
        return {"database": "does not answer", "migrations": UP, "clock": UP}


async def test_readiness_names_each_part_that_is_down(database_url: str) -> None:
    override = Provider(scope=Scope.APP)
    override.provide(Down, provides=Readiness, override=True)
    async with serving(database_url, override) as platform:
        visitor = await platform.visitor()
        answer = await visitor.get("/health/ready")
        assert problem(answer) == (503, "not-ready")
        assert answer.json()["checks"] == {"database": "does not answer", "migrations": "ok", "clock": "ok"}
        assert "database" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        assert (await visitor.get("/health/live")).status_code == 200


class Broken(ListPlansHandler):
    """A use case that fails."""

    async def __call__(self, query: object, caller: object) -> Any:  # noqa: ANN401 - it gives nothing
        """Fail with an unexpected error."""
        raise ZeroDivisionError("the secret reason")


async def test_an_unexpected_error_shows_only_the_request_id(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log contains the cause with the same id."""
    override = Provider(scope=Scope.APP)
    override.provide(Broken, provides=interface_of(ListPlansHandler), override=True)
    async with serving(database_url, override) as platform:
        answer = await (await platform.visitor()).get("/v1/plans", headers={"x-request-id": "trace-me"})
    assert problem(answer) == (500, "internal-error")
    assert answer.json()["request_id"] == "trace-me"
    assert "secret" not in answer.text
    assert "ZeroDivisionError" not in answer.text
    output = "".join(capsys.readouterr())
    assert "the secret reason" in output
    assert "trace-me" in output


async def test_metrics_with_their_own_port_are_not_served_on_the_public_one(database_url: str) -> None:
    async with serving(database_url, SMP_METRICS_PORT="9999") as platform:
        assert problem(await (await platform.visitor()).get("/metrics")) == (404, "not-found")
        assert await platform.container.get(Clock)


async def test_every_address_in_a_response_begins_with_the_path_of_the_public_url(database_url: str) -> None:
    """A proxy serves the service below `/billing`, and removes that from the requests."""
    async with serving(database_url, SMP_PUBLIC_URL="https://example.com/billing/") as platform:
        visitor, admin = await platform.visitor(), await platform.signed_in()
        made = await visitor.post("/v1/auth/register", json={"email": "ada@example.com", "password": PASSWORD})
        assert made.headers["location"] == f"/billing/v1/users/{made.json()['id']}"
        plan = {
            "code": "free",
            "name": "Free",
            "price": {"amount": 0, "currency": "USD"},
            "period": "P1M",
            "features": {},
        }
        assert (await admin.post("/v1/plans", json=plan)).headers["location"] == "/billing/v1/plans/free"
        for refused in (
            await visitor.get("/nowhere"),
            await visitor.get("/v1/me"),
            await visitor.get("/v1/me/access"),
            await visitor.post("/v1/auth/login", content=b"{"),
            await visitor.get("/v1/plans/none"),
        ):
            assert refused.json()["type"].startswith("/billing/problems/"), refused.text
        index = (await visitor.get("/")).json()
        assert {index["docs"], index["openapi"], index["ready"]} == {
            "/billing/docs",
            "/billing/openapi.json",
            "/billing/health/ready",
        }
        for page in ("/", "/docs", "/docs/start.js"):
            text = (await visitor.get(page, headers={"accept": "text/html"})).text
            addresses = re.findall(r'(?:href=|src=|fetch\()"([^"]+)"', text)
            assert addresses
            assert not [address for address in addresses if re.match(r"/(?!billing/)", address)]
        document = (await visitor.get("/openapi.json")).json()
        assert document["servers"] == [{"url": "https://example.com/billing"}]
        assert '"/problems/' not in json.dumps(document["paths"])
