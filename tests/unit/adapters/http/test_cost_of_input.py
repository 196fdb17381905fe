"""No input up to its limit occupies the event loop for more than 50 ms of processor time.

What reads input is discovered: every compiled pattern of the program, every header that the HTTP adapter reads, every
parameter of every operation, and every type of body. Each gets texts that are expensive for a parser that is not
linear. Time is that of this thread's processor, so other processes on the machine do not count.
"""

from __future__ import annotations

import ast
import gc
import importlib
import json
import logging
import pkgutil
import re
import string
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate, product
from re import _parser as patterns  # type: ignore[attr-defined]
from time import thread_time
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import pytest
from dishka import Provider, Scope
from structlog.testing import capture_logs

import smp
from smp.adapters.http.api.test_clock.schemas import ClockIn
from smp.adapters.http.asgi import App, Message
from smp.adapters.http.authentication import RequestAuthenticator
from smp.adapters.http.middleware.form_body import parse_form
from smp.adapters.http.middleware.json_body import parse_json
from smp.adapters.http.middleware.limits import BODY_BYTES_MAX, HEADERS_BYTES_MAX, TARGET_BYTES_MAX
from smp.adapters.http.problems.details import details
from smp.adapters.http.problems.rejection import FieldError, RequestRejected
from smp.adapters.http.validation import convert
from smp.adapters.http.wire import RequestModel
from smp.adapters.memory.clock import MemoryClock
from smp.adapters.memory.store import MemoryStore
from smp.application.caller import Caller
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.queries.views import UserView
from smp.bootstrap.container import build_container
from smp.bootstrap.http import HttpProvider, build_app
from smp.bootstrap.logging import line_formatter
from smp.bootstrap.memory import memory_http_provider, memory_provider
from smp.bootstrap.settings import LogFormat, load_settings
from smp.domain.user.user import Role
from tests.architecture.source import modules
from tests.support.hashing import InstantHasher

LIMIT_S: Final = 0.05
ATTEMPTS: Final = 5
NOW: Final = datetime(2027, 1, 31, 10, tzinfo=UTC)

UNITS: Final = (
    " ",
    '"',
    '\\"',
    ",",
    ";",
    "=",
    "a",
    "0",
    ".",
    ":",
    "/",
    "@",
    "%",
    "a=",
    "; ",
    '"" ',
    "a,",
    "://",
    "a://:",
)
"""What a hostile text may repeat."""
MARKS: Final = "\u0301" * 20 + "\u0316" * 20
"""Accents in an order that normalization has to sort."""


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """The collector would walk all objects of the test run, which a server freezes at its start."""
    gc.disable()
    yield
    gc.enable()


def cost_s(work: Callable[[], object], limit_s: float = LIMIT_S) -> float:
    """Return the processor time of the work: the least of several attempts, of which more are made only if needed."""
    least = float("inf")
    for _ in range(ATTEMPTS):
        started = thread_time()
        work()
        least = min(least, thread_time() - started)
        if least < limit_s:
            break
    return least


def filled(prefix: str, unit: str, length: int) -> str:
    """Return a text of this length: the prefix, then the unit again and again, then something that fits nothing."""
    return (prefix + unit * length)[: length - 1] + "\x7f"


# Patterns


def compiled_patterns() -> Iterator[tuple[str, re.Pattern[Any], str]]:
    """Yield every pattern of the program with its name, and the method by which it is used."""
    for found in pkgutil.walk_packages(smp.__path__, "smp."):
        if found.name.endswith("__main__") or ".versions." in found.name:
            continue
        module = importlib.import_module(found.name)
        source = next((each.text for each in modules() if each.name == found.name), "")
        for name, value in vars(module).items():
            for number, pattern in enumerate(_patterns_in(value)):
                methods = (method for method in ("fullmatch", "match") if f"{name}.{method}(" in source)
                yield f"{found.name}.{name}[{number}]", pattern, next(methods, "sub")


def _patterns_in(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _patterns_in(each)


def literals_of(pattern: re.Pattern[Any]) -> Sequence[str]:
    """Return the texts that stand in the pattern as they are, in their order."""
    runs = [""]

    def walk(node: object) -> None:
        for operation, argument in node:  # type: ignore[attr-defined]
            if operation is patterns.LITERAL:
                runs[-1] += chr(argument)
                continue
            runs.append("")
            for inner in _inner(argument):
                walk(inner)
                runs.append("")

    def _inner(argument: object) -> Iterator[object]:
        if isinstance(argument, patterns.SubPattern):
            yield argument
        elif isinstance(argument, (tuple, list)):
            for each in argument:
                yield from _inner(each)

    walk(patterns.parse(pattern.pattern, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else 0))
    return [run for run in dict.fromkeys(runs) if run]


PATTERNS: Final = {name: (pattern, method) for name, pattern, method in compiled_patterns()}


@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern_of_the_program_takes_linear_time(name: str) -> None:
    """A quadratic one needs hundreds of milliseconds for 16 KiB, a linear one less than one."""
    pattern, method = PATTERNS[name]
    literals = literals_of(pattern)
    prefixes = ["", *accumulate(literals), *literals]
    for prefix, unit in product(dict.fromkeys(prefixes), dict.fromkeys((*UNITS, *literals))):
        text: Any = filled(prefix, unit, HEADERS_BYTES_MAX)
        text = text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text

        def use(text: Any = text) -> object:  # noqa: ANN401 - of the pattern's type
            return pattern.sub(text[:0], text) if method == "sub" else getattr(pattern, method)(text)

        assert cost_s(use) < LIMIT_S, (prefix, unit)


def test_the_patterns_are_found() -> None:
    assert {"smp.adapters.http.api.preconditions._TAGS[0]", "smp.bootstrap.logging._URL_PASSWORD[0]"} <= PATTERNS.keys()
    assert literals_of(re.compile(r"a+bearer\s(x|yz)")) == ["a", "bearer", "x", "yz"]


# Whole requests


class AlwaysAdmin:
    """Authenticates every request, after its credentials were read, so that every operation is reached."""

    async def __call__(self, _query: object, _caller: object) -> Caller:
        """Return an administrator."""
        return Caller.of_session(UserView(UUID(int=1), "root@example.com", Role.ADMIN, False, NOW), UUID(int=2))  # noqa: FBT003


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of the application in memory."""
    settings = load_settings(
        {"SMP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", "SMP_TRUSTED_PROXIES": "1"}
    )
    store = MemoryStore()
    overrides = Provider(scope=Scope.APP)
    overrides.provide(InstantHasher, provides=PasswordHasher, override=True)
    authenticator = RequestAuthenticator(AlwaysAdmin(), "smp_session")
    overrides.provide(lambda: authenticator, provides=RequestAuthenticator, override=True)
    on_memory = memory_provider(store, MemoryClock(store, NOW)), memory_http_provider()
    container = build_container(settings, HttpProvider(), *on_memory, overrides)
    yield Client(build_app(settings, container))
    await container.close()


@dataclass(frozen=True, slots=True)
class Client:
    """Sends requests straight to the application."""

    app: App

    async def ask(
        self, method: str, path: str, query: str = "", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> int:
        """Send a request, and return its status. Fails if it costs too much or is an unexpected error."""
        least = float("inf")
        status = 0
        for _ in range(ATTEMPTS):
            started = thread_time()
            status, _ = await self.send(method, path, query, headers or {}, body)
            least = min(least, thread_time() - started)
            if least < LIMIT_S:
                break
        assert least < LIMIT_S, (method, path[:100], query[:100], str(headers)[:100], body[:100])
        assert status != 500
        return status

    async def send(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        """Send a request, and return the status and the body of the response."""
        received: list[Message] = []
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        if body:
            encoded += [(b"content-length", str(len(body)).encode())]
            encoded += [] if "content-type" in headers else [(b"content-type", b"application/json")]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": quote(path, safe="/:").encode(), "root_path": "", "query_string": query.encode(),
            "headers": [(b"host", b"smp.example"), *encoded], "client": ("127.0.0.1", 1), "server": ("smp.example", 80),
        }  # fmt: skip

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            received.append(message)

        await self.app(scope, receive, send)
        return received[0]["status"], b"".join(message.get("body", b"") for message in received)


HEADERS: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "accept": ("/", ("", "text/html")),
    "authorization": ("/v1/me", ("Bearer ", "Bearer")),
    "content-type": ("/v1/plans", ("", "application/json", "application/json;", "application/json; charset=")),
    "cookie": ("/v1/me", ("", "smp_session=", 'smp_session="', "smp_session")),
    "host": ("/v1/plans", ("", "[")),
    "idempotency-key": ("/v1/plans", ("",)),
    "if-match": ("/v1/plans/pro", ("", '"', 'W/"1"', "a")),
    "if-none-match": ("/v1/plans/pro", ("", '"', 'W/"1"', "a")),
    "origin": ("/v1/plans", ("", "https://")),
    "sec-fetch-site": ("/v1/plans", ("",)),
    "user-agent": ("/v1/auth/login", ("",)),
    "x-forwarded-for": ("/v1/auth/login", ("", "::", "1.", "[", "1,")),
    "x-request-id": ("/v1/plans", ("",)),
}
"""Every header that the HTTP adapter reads: an operation that reads it, and what a hostile value may begin with."""

NOT_PARSED: Final = {"content-length", "transfer-encoding"}
"""Headers that the server has checked before."""


def headers_that_are_read() -> set[str]:
    """Return the names of headers in the source of the HTTP adapter: those that are looked up or compared."""
    found: set[str] = set()
    for module in modules():
        if not module.name.startswith("smp.adapters.http."):
            continue
        for node in ast.walk(module.tree):
            named: list[ast.expr] = []
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and "headers" in ast.unparse(node.func)
            ):
                named = node.args[:1]
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("request.headers"):
                named = [node.slice]
            elif isinstance(node, ast.Compare) and ast.unparse(node.left) == "name":
                named = node.comparators
            texts = (each.value for each in named if isinstance(each, ast.Constant))
            found |= {
                text.decode() if isinstance(text, bytes) else text for text in texts if isinstance(text, (str, bytes))
            }
    return {name for name in found if re.fullmatch(r"[a-z][a-z-]+", name)} - {
        "allow",
        "content-security-policy",
        "location",
        "set-cookie",
    }


def test_every_header_that_is_read_is_in_the_table() -> None:
    assert headers_that_are_read() - NOT_PARSED <= HEADERS.keys()


async def test_no_value_of_a_header_occupies_the_event_loop(client: Client) -> None:
    for name, (path, prefixes) in HEADERS.items():
        for prefix, unit, ending in product(prefixes, UNITS, ("", "b")):
            value = (prefix + unit * HEADERS_BYTES_MAX)[: HEADERS_BYTES_MAX - 200] + ending
            await client.ask("GET", path, headers={name: value})
            await client.ask("POST", path, headers={name: value}, body=b"{}")


async def test_no_target_occupies_the_event_loop(client: Client) -> None:
    """Also at every parameter of every operation."""
    _, body = await client.send("GET", "/openapi.json", "", {}, b"")
    document = json.loads(body)
    places = [
        (method.upper(), path, parameter)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict)
        for parameter in operation.get("parameters", ())
        if parameter["in"] in ("path", "query")
    ]
    assert len(places) > 40
    for (method, path, parameter), unit in product(places, (" ", "a", "0", "/", "-", "2027-", "a.", "\u0316\u0301")):
        text = unit * (TARGET_BYTES_MAX // len(quote(unit)) - 80)
        if parameter["in"] == "path":
            await client.ask(method, re.sub(r"{\w+}", "x", path.replace(f"{{{parameter['name']}}}", text)))
        else:
            await client.ask(method, re.sub(r"{\w+}", "x", path), query=f"{parameter['name']}={quote(text)}")
    for unit in ("/", "/v1", "a.", "/access", "/v1/users/access", "{", "%", "a=&", "&", "limit=1&", "%00"):
        text = unit * (TARGET_BYTES_MAX // len(unit) - 20)
        await client.ask("GET", f"/{text}" if "%" not in unit else "/v1/plans")
        await client.ask("GET", "/v1/plans", query=text)
        await client.ask("GET", "/v1/users/x/access/y", query=text)


@pytest.mark.parametrize("size", [TARGET_BYTES_MAX, 31_000])
async def test_paths_and_methods_are_cut_before_they_are_logged(client: Client, size: int) -> None:
    with capture_logs() as lines:
        assert await client.ask("GET", "/" + "a." * (size // 2)) == 414
        assert await client.ask("M" * size, "/v1/plans") == 405
    logged = [line for line in lines if line["event"] == "request"]
    assert [len(line["path"]) for line in logged] == [1_024, len("/v1/plans")]
    assert [len(line["method"]) for line in logged] == [3, 32]


# Bodies


def request_models() -> Iterator[type[RequestModel]]:
    """Yield every type of body."""
    assert ClockIn in RequestModel.__subclasses__()
    yield from (model for model in RequestModel.__subclasses__() if model.__module__.startswith("smp."))


def documents(fields: Sequence[str]) -> Iterator[object]:
    """Yield large documents for a type with these fields."""
    for unit in ("a", " ", "\u0316\u0301", MARKS, "0", "P1", "a@", "a.", "x@a."):
        text = (unit * BODY_BYTES_MAX)[: BODY_BYTES_MAX // (3 * len(fields) + 1)]
        yield dict.fromkeys(fields, text)
        yield dict.fromkeys(fields, text + "\x00")
    many = {f"{number:x}": 1 for number in range(7_000)}
    yield many
    yield [many]
    numbers = {f"{number:x}": 1 for number in range(7_000 // len(fields))}
    objects: object = {f"A{number}": {"a": []} for number in range(3_000 // len(fields))}
    values: tuple[object, ...] = (numbers, objects, [{}] * (10_000 // len(fields)), 10**4_000)
    for value in values:
        yield dict.fromkeys(fields, value)


@pytest.mark.parametrize("model", list(request_models()), ids=lambda model: model.__name__)
def test_no_body_occupies_the_event_loop(model: type[RequestModel]) -> None:
    """It is parsed, checked against its type, and its bad fields are written as a problem."""

    def read(body: bytes) -> None:
        try:
            convert(model, parse_json(body))
        except RequestRejected as rejected:
            problem = details(rejected)
            assert problem is not None
            problem.answer()

    for document in documents(model.__struct_fields__ or ("x",)):
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()[:BODY_BYTES_MAX]
        assert cost_s(partial(read, body)) < LIMIT_S, body[:100]


@pytest.mark.parametrize("unit", ["a=1&", "&", "=", "%", "%00", "+", "a"])
def test_no_form_occupies_the_event_loop(unit: str) -> None:
    def read(body: bytes) -> None:
        with suppress(RequestRejected):
            parse_form(body)

    assert cost_s(lambda: read((unit * BODY_BYTES_MAX)[:BODY_BYTES_MAX].encode())) < LIMIT_S


PLAN: Final = {"code": "pro", "name": "Pro", "price": {"amount": 1, "currency": "USD"}, "period": "P1M"}


async def test_values_that_the_domain_reads_do_not_occupy_the_event_loop(client: Client) -> None:
    """Emails, passwords, plan codes, periods and features, as long as their types allow."""
    for unit in ("a", "a.", "é", MARKS, "a@", "x-", "\u017f", "\U0001f600"):
        text = (unit * 1_000)[:1_000]
        account = {"email": text, "password": (unit * 1_024)[:1_024]}
        for email in (text, f"a@{text[:250]}", f"{text[:60]}@a"):
            body = json.dumps(account | {"email": email}, ensure_ascii=False).encode()
            await client.ask("POST", "/v1/auth/register", body=body, headers={"idempotency-key": "k"})
            await client.ask("POST", "/v1/auth/login", body=body)
        for field in ("code", "name", "description", "period", "trial_period", "features"):
            value: object = {f"k{number}": text[:250] for number in range(200)} if field == "features" else text
            body = json.dumps(PLAN | {field: value}, ensure_ascii=False).encode()
            await client.ask("POST", "/v1/plans", body=body)
            await client.ask("PATCH", "/v1/plans/pro", body=body)


# The log and the problems


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_no_log_line_occupies_the_event_loop(log_format: LogFormat) -> None:
    """Whatever a caller wrote into it."""
    formatter = line_formatter(log_format)
    words = ("bearer ", "smp_session=", "smp_", "password=", "$argon2", "a://u:", "a://u:p@", "\n", "\x1b", *UNITS)
    for prefix, unit in product(("", "@", "bearer", "a://u:", "password"), words):
        record = logging.LogRecord("x", logging.INFO, "x", 1, filled(prefix, unit, HEADERS_BYTES_MAX), None, None)
        assert cost_s(partial(formatter.format, record)) < LIMIT_S, (prefix, unit)


def test_no_number_of_bad_fields_occupies_the_event_loop_or_makes_a_large_response() -> None:
    errors = tuple(FieldError(f"/{name}", "is not a parameter") for name in string.ascii_letters * 100)
    problem = details(RequestRejected("invalid-parameter", "bad", errors=errors))
    assert problem is not None
    assert cost_s(problem.answer) < LIMIT_S
    document = json.loads(problem.answer().body)
    assert (len(document["errors"]), document["errors_omitted"]) == (20, 5_180)
