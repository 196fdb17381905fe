"""The questions that a service is asked after it was rolled out: a good one passes, a bad one is found out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from delivery.failures import StepFailed
from delivery.smoke import smoke
from smp import __version__
from tests.support.processes import environment, free_port, starting

PROBLEM: Final = "application/problem+json"
GOOD: Final[Mapping[str, tuple[int, str, Any]]] = {
    "/health/ready": (200, "application/json", {"status": "ready"}),
    "/openapi.json": (200, "application/json", {"info": {"version": "1.2.0"}}),
    "/health/live": (200, "application/json", {"status": "live"}),
    "/v1/plans": (200, "application/json", {"items": []}),
    "/v1/me": (401, f"{PROBLEM}; charset=utf-8", {"status": 401}),
    "/v1/users": (401, PROBLEM, {"status": 401}),
}


@contextmanager
def answering(answer: Callable[[str], tuple[int, str, Any]]) -> Iterator[str]:
    """A server that answers so to each path; the URL of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, media_type, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_good_service_passes() -> None:
    with answering(GOOD.__getitem__) as url:
        assert list(smoke(url, "1.2.0")) == [
            "version 1.2.0 is ready",
            "/health/live: the process lives",
            "/v1/plans: plans are read from the database",
            "/v1/me: who has not signed in is refused",
            "/v1/users: so is who asks for others",
        ]


def test_a_service_under_a_path_is_asked_there() -> None:
    with answering(lambda path: GOOD[path.removeprefix("/billing")]) as url:
        assert len(list(smoke(f"{url}/billing/", "1.2.0"))) == 5


def test_it_is_waited_for() -> None:
    """Not ready at first, then the version before, then this one."""
    answers = iter([(503, PROBLEM, {"status": 503}), GOOD["/health/ready"], GOOD["/health/ready"]])
    versions = iter(["1.1.0", "1.1.0", "1.2.0"])

    def answer(path: str) -> tuple[int, str, Any]:
        if path == "/health/ready":
            return next(answers)
        if path == "/openapi.json":
            return 200, "application/json", {"info": {"version": next(versions)}}
        return GOOD[path]

    with answering(answer) as url:
        assert next(smoke(url, "1.2.0", 30.0)) == "version 1.2.0 is ready"


@pytest.mark.parametrize(
    ("path", "answer", "why"),
    [
        ("/health/ready", (503, PROBLEM, {"status": 503}), "is not ready with version 1.2.0 after 0 s; ready: 503"),
        ("/openapi.json", (200, "application/json", {"info": {"version": "1.1.0"}}), "version: 1.1.0"),
        ("/openapi.json", (200, "text/html", b"<html>"), "version: None"),
        ("/openapi.json", (500, "application/json", {"info": {"version": "1.2.0"}}), "version: None"),
        ("/health/live", (200, "application/json", {"status": "odd"}), "/health/live: the process lives, but"),
        ("/v1/plans", (500, PROBLEM, {"status": 500}), "/v1/plans: plans are read from the database, but"),
        ("/v1/plans", (200, "application/json", []), "/v1/plans: plans are read from the database, but"),
        ("/v1/me", (200, "application/json", {"id": 1}), "/v1/me: who has not signed in is refused, but"),
        ("/v1/me", (401, "text/html", b"a proxy's"), "/v1/me: who has not signed in is refused, but"),
        ("/v1/users", (403, PROBLEM, {"status": 403}), "/v1/users: so is who asks for others, but"),
    ],
)
def test_a_bad_service_is_found_out(path: str, answer: tuple[int, str, Any], why: str) -> None:
    with answering({**GOOD, path: answer}.__getitem__) as url, pytest.raises(StepFailed, match=why):
        list(smoke(url, "1.2.0", 0.0))


def test_no_service_at_all_is_an_error() -> None:
    with pytest.raises(StepFailed, match="/health/ready: no answer"):
        list(smoke(f"http://127.0.0.1:{free_port()}", "1.2.0", 0.0))


@pytest.mark.parametrize("url", ["", "staging.example.com", "ftp://staging.example.com", "https://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(StepFailed, match="not the URL of a service"):
        list(smoke(url, "1.2.0", 0.0))


def test_our_own_service_passes(database_url: str, tmp_path: Path) -> None:
    """The real one, so that these questions are about what it answers today."""
    environ = environment(tmp_path, SMP_DATABASE_URL=database_url, SMP_SWEEP_INTERVAL_S="0", SMP_LOG_LEVEL="warning")
    with starting(environ, tmp_path) as service:
        assert len(list(smoke(f"http://127.0.0.1:{service.port}", __version__, 60.0))) == 5
