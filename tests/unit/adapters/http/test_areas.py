"""An area of the HTTP interface declares which bodies it accepts and which checks its requests pass."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from time import process_time
from typing import Final

import httpx
import pytest

from smp.adapters.http.asgi import App, Receive, Scope, Send, send_response
from smp.adapters.http.client_source import ClientSources
from smp.adapters.http.middleware.access_log import AccessLog, RequestObserver, SourceOf
from smp.adapters.http.middleware.body import BODY, BodyParser
from smp.adapters.http.middleware.concurrency import ConcurrencyLimit
from smp.adapters.http.middleware.cross_origin import refuse_cross_origin
from smp.adapters.http.middleware.form_body import FIELDS_MAX, FORM
from smp.adapters.http.middleware.json_body import JSON, JSON_DEPTH_MAX, parse_json
from smp.adapters.http.middleware.limits import (
    BODY_BYTES_MAX,
    HEADERS_BYTES_MAX,
    TARGET_BYTES_MAX,
    limit_headers,
    limit_target,
)
from smp.adapters.http.middleware.raw_body import RAW
from smp.adapters.http.middleware.security_headers import security_headers
from smp.adapters.http.middleware.stack import Area, MiddlewareStack
from smp.adapters.http.problems.rejection import RequestRejected
from smp.adapters.system.id_generator import Uuid7IdGenerator

JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
AT_ONCE: Final = 2


class Recorded(RequestObserver):
    """An observer that records every finished request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, int]] = []

    def began(self) -> None:
        """Do nothing."""

    def __call__(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """Record the request."""
        assert elapsed_s >= 0
        self.requests.append((method, route, status))


async def show_body(scope: Scope, _receive: Receive, send: Send) -> None:
    """Respond with the parsed body as text."""
    await send_response(send, 200, [(b"content-type", b"text/plain")], repr(scope["state"].get(BODY)).encode())


def area(prefix: str, body: BodyParser, app: App = show_body) -> Area:
    checks = (limit_target, limit_headers, body.check_media_type, refuse_cross_origin)
    headers = security_headers(strict_transport=False)
    return Area(lambda path: path.startswith(prefix), app, checks, body, headers, ConcurrencyLimit(AT_ONCE))


def callbacks() -> Area:
    """Return an area for payment providers, whose servers send no Origin and sign the bytes of the body."""
    body = BodyParser(RAW)
    headers = security_headers(strict_transport=False)
    limit = ConcurrencyLimit(AT_ONCE)
    return Area(
        lambda path: path.startswith("/callbacks"), show_body, (limit_target,), body, headers, limit, errors_only=True
    )


@pytest.fixture
def observed() -> Recorded:
    return Recorded()


@pytest.fixture
async def client(observed: Recorded) -> AsyncIterator[httpx.AsyncClient]:
    async def source() -> tuple[RequestObserver, SourceOf]:
        return observed, ClientSources(0).of_scope

    areas: Sequence[Area] = (
        callbacks(),
        area("/pages", BodyParser(FORM)),
        area("/mixed", BodyParser(JSON, FORM)),
        area("/reading", BodyParser()),
        area("/", BodyParser(JSON)),
    )
    stack = MiddlewareStack(areas, show_body, Uuid7IdGenerator(), AccessLog(source))
    transport = httpx.ASGITransport(app=stack)
    async with httpx.AsyncClient(transport=transport, base_url="http://smp.example") as client:
        yield client


async def post(client: httpx.AsyncClient, path: str, body: bytes, media_type: str, **headers: str) -> httpx.Response:
    return await client.post(path, content=body, headers={"content-type": media_type} | headers)


async def test_a_callback_area_gets_the_bytes_of_any_body(client: httpx.AsyncClient) -> None:
    for media_type, body in ((JSON_TYPE, b'{ "a":1 }'), ("text/plain", b"\xff\x00"), ("", b"x")):
        answer = await post(client, "/callbacks/provider", body, media_type)
        assert (answer.status_code, answer.text) == (200, repr(body))


async def test_a_callback_area_has_no_cross_origin_check_unless_it_asks_for_one(client: httpx.AsyncClient) -> None:
    elsewhere = {"origin": "https://provider.example"}
    assert (await post(client, "/callbacks/provider", b"{}", JSON_TYPE, **elsewhere)).status_code == 200
    assert (await post(client, "/v1/plans", b"{}", JSON_TYPE, **elsewhere)).status_code == 403
    assert (await post(client, "/pages/login", b"a=1", FORM_TYPE, **elsewhere)).status_code == 403


async def test_a_page_area_gets_the_fields_of_a_form(client: httpx.AsyncClient) -> None:
    answer = await post(client, "/pages/login", b"email=a%40b.c&plan=x&plan=y&empty=", FORM_TYPE)
    assert answer.text == repr((("email", "a@b.c"), ("plan", "x"), ("plan", "y"), ("empty", "")))


@pytest.mark.parametrize("body", [b"a=%ff", b"\xff=1", b"&".join([b"a=1"] * (FIELDS_MAX + 1))])
async def test_a_malformed_form_is_refused_with_400(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await post(client, "/pages/login", body, FORM_TYPE)).status_code == 400


@pytest.mark.parametrize("media_type", [FORM_TYPE, "text/plain", "multipart/form-data; boundary=x", ""])
async def test_a_json_area_answers_415_to_every_other_body(client: httpx.AsyncClient, media_type: str) -> None:
    """Other areas that accept forms and raw bodies make no difference."""
    answer = await post(client, "/v1/plans", b"{}", media_type)
    assert answer.status_code == 415
    assert answer.json()["detail"] == "send the body as application/json"


async def test_a_page_area_answers_415_to_json(client: httpx.AsyncClient) -> None:
    answer = await post(client, "/pages/login", b"{}", JSON_TYPE)
    assert answer.status_code == 415
    assert FORM_TYPE in answer.json()["detail"]


async def test_a_body_without_bytes_needs_no_media_type(client: httpx.AsyncClient) -> None:
    """Whether its length is declared, or it is sent in chunks of which none has bytes."""

    async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    for path in ("/v1/plans", "/pages/login", "/reading"):
        for media_type in ({}, {"content-type": "text/plain"}):
            for content in (b"", chunks(), chunks(b"", b"")):
                answer = await client.post(path, content=content, headers=media_type)
                assert (answer.status_code, answer.text) == (200, "None")
            assert (await client.post(path, content=chunks(b"", b"{"), headers=media_type)).status_code == 415


async def test_an_area_may_take_several_kinds_of_body(client: httpx.AsyncClient) -> None:
    assert (await post(client, "/mixed", b'{"a":1}', JSON_TYPE)).text == "{'a': 1}"
    assert (await post(client, "/mixed", b"a=1", FORM_TYPE)).text == "(('a', '1'),)"
    assert (await post(client, "/mixed", b"a=1", "text/plain")).status_code == 415


async def test_an_area_without_kinds_takes_no_body(client: httpx.AsyncClient) -> None:
    assert (await client.post("/reading")).text == "None"
    assert (await post(client, "/reading", b"{}", JSON_TYPE)).status_code == 415


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json;",
        "APPLICATION/JSON ; profile=x",
        'application/json; v="a;charset=latin-1\\""; charset=utf-8',
        "\tapplication/json\t;;\t; charset=UTF8 ",
        'application/json;charset="utf-8";x=y',
    ],
)
async def test_the_parameters_of_a_media_type_are_accepted(client: httpx.AsyncClient, media_type: str) -> None:
    assert (await post(client, "/v1/plans", b"{}", media_type)).status_code == 200


@pytest.mark.parametrize(
    "media_type",
    ["application/json; charset=latin-1", "application/json x", "application/json; x", "application/json/", "/json"],
)
async def test_a_media_type_that_is_malformed_or_not_in_utf_8_is_answered_with_415(
    client: httpx.AsyncClient, media_type: str
) -> None:
    assert (await post(client, "/v1/plans", b"{}", media_type)).status_code == 415


async def test_a_path_and_query_of_more_than_8_kib_are_answered_with_414(client: httpx.AsyncClient) -> None:
    for target in ("/{}", "/x?a={}", "/%20{}"):
        shortest = len(target.format("").encode()) - ("?" in target)
        assert (await client.get(target.format("a" * (TARGET_BYTES_MAX - shortest)))).status_code == 200
        answer = await client.get(target.format("a" * (TARGET_BYTES_MAX - shortest + 1)))
        assert (answer.status_code, answer.json()["type"]) == (414, "/problems/uri-too-long")


async def test_headers_of_more_than_16_kib_are_answered_with_431(client: httpx.AsyncClient) -> None:
    for headers in ({"a": "x" * HEADERS_BYTES_MAX}, {f"h{n}": "x" * 1_000 for n in range(17)}):
        answer = await client.get("/v1/plans", headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (431, "/problems/headers-too-large")
    assert (await client.get("/v1/plans", headers={"a": "x" * 15_000})).status_code == 200


@pytest.mark.parametrize("path", ["/v1/plans", "/pages/login", "/callbacks/provider"])
async def test_a_body_has_at_most_64_kib(client: httpx.AsyncClient, path: str) -> None:
    """Declared by Content-Length or sent in chunks."""
    media_type = FORM_TYPE if path.startswith("/pages") else JSON_TYPE
    allowed = b'"' + b"x" * (BODY_BYTES_MAX - 2) + b'"'
    assert len(allowed) == 65_536

    async def chunks(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1_000):
            yield body[start : start + 1_000]

    for content, status in ((allowed, 200), (allowed + b" ", 413)):
        declared = await post(client, path, content, media_type)
        chunked = await client.post(path, content=chunks(content), headers={"content-type": media_type})
        assert [declared.status_code, chunked.status_code] == [status, status]


async def test_every_area_has_a_request_id_security_headers_and_an_observation(
    client: httpx.AsyncClient, observed: Recorded
) -> None:
    for path in ("/v1/plans", "/pages/login", "/callbacks/provider"):
        answer = await client.get(path, headers={"x-request-id": "mine"})
        assert answer.headers["x-request-id"] == "mine"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert observed.requests == [("GET", "unmatched", 200)] * 3


@pytest.mark.parametrize("depth", [JSON_DEPTH_MAX, JSON_DEPTH_MAX + 1])
@pytest.mark.parametrize(("start", "end"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_is_nested_at_most_32_levels_deep(depth: int, start: bytes, end: bytes) -> None:
    innermost = b"[]" if start == b"[" else b"{}"
    body = start * (depth - 1) + innermost + end * (depth - 1)
    if depth > JSON_DEPTH_MAX:
        with pytest.raises(RequestRejected, match="nested at most 32 deep"):
            parse_json(body)
    else:
        parse_json(body)


def test_brackets_in_texts_and_next_to_each_other_do_not_count_as_depth() -> None:
    assert parse_json(b'["' + b"[{" * 100 + b'"]')
    assert parse_json(b"[" + b"[],{}," * 100 + b"[]]")


@contextmanager
def timed_without_collector() -> Iterator[Callable[[], float]]:
    """Measure processor time without garbage collection, which would walk all objects of the test run."""
    gc.disable()
    started = process_time()
    try:
        yield lambda: process_time() - started
    finally:
        gc.enable()


UNITS: Final = (b'\\"', b'"', b"[", b'{"a":', b'["', b'"[', b"\\", b"[],", b'"\\"[', b"9", b'"a":[{},', b"{")
"""What a hostile body may repeat; the first one took half a minute when depth was counted by a regular expression."""


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("prefix", [b"", b'"', b"[" * 33, b"[", b"[" * 33 + b'"'])
def test_any_body_of_64_kib_is_parsed_within_50_milliseconds(prefix: bytes, unit: bytes) -> None:
    body = (prefix + unit * BODY_BYTES_MAX)[:BODY_BYTES_MAX]
    with pytest.raises(RequestRejected), timed_without_collector() as elapsed_s:
        parse_json(body)
    assert elapsed_s() < 0.05


@pytest.mark.parametrize("item", [b"[]", b"{}", b'{"a":1}', b"[[]]", b'"["', b"0"])
def test_the_largest_valid_bodies_are_parsed_within_50_milliseconds(item: bytes) -> None:
    body = b"[" + b",".join([item] * ((BODY_BYTES_MAX - 2) // (len(item) + 1))) + b"]"
    with timed_without_collector() as elapsed_s:
        parse_json(body)
    assert elapsed_s() < 0.05
