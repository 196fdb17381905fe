"""The check of a service after a rollout: it passes for a good service and finds what is wrong with a bad one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from scripts.smoke import SmokeFailed, smoke
from tests.support.processes import ROOT, environment, free_port, starting

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
    """Run a server that returns ``answer(path)`` for each path. Yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, media_type, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_good_service_passes_also_below_a_path() -> None:
    with answering(lambda path: GOOD[path.removeprefix("/billing")]) as url:
        assert len(list(smoke(f"{url}/billing/", "1.2.0"))) == 5


def test_the_check_waits_until_the_new_version_is_ready() -> None:
    """The first answers are "not ready", then the previous version, then the new one."""
    statuses, versions = iter([503, 200, 200]), iter(["1.1.0", "1.1.0", "1.2.0"])

    def answer(path: str) -> tuple[int, str, Any]:
        if path == "/health/ready":
            return next(statuses), "application/json", {}
        if path == "/openapi.json":
            return 200, "application/json", {"info": {"version": next(versions)}}
        return GOOD[path]

    with answering(answer) as url:
        assert next(smoke(url, "1.2.0", 30.0)) == "version 1.2.0 is ready"


@pytest.mark.parametrize(
    ("path", "answer", "error"),
    [
        ("/health/ready", (503, PROBLEM, {}), "is not ready with version 1.2.0 after 0 s; ready: 503"),
        ("/openapi.json", (200, "application/json", {"info": {"version": "1.1.0"}}), "version: 1.1.0"),
        ("/openapi.json", (200, "text/html", b"<html>"), "version: None"),
        ("/health/live", (200, "text/html", b"<html>"), "/health/live: expected that the process is alive, but"),
        ("/v1/plans", (500, PROBLEM, {"status": 500}), "expected that plans are read from the database, but"),
        ("/v1/plans", (200, "application/json", []), "expected that plans are read from the database, but"),
        ("/v1/me", (200, "application/json", {"status": 1}), "/v1/me: expected that a caller who is not signed in is"),
        ("/v1/me", (401, "text/html", b"a proxy"), "/v1/me: expected that a caller who is not signed in is refused"),
        ("/v1/users", (403, PROBLEM, {"status": 403}), "/v1/users: expected that a caller who is not signed in cannot"),
    ],
)
def test_a_wrong_answer_fails_the_check_and_is_named(path: str, answer: tuple[int, str, Any], error: str) -> None:
    with answering({**GOOD, path: answer}.__getitem__) as url, pytest.raises(SmokeFailed, match=error):
        list(smoke(url, "1.2.0", 0.0))


@pytest.mark.parametrize("url", ["", "staging.example.com", "ftp://staging.example.com", "https://"])
def test_a_text_that_is_not_a_url_is_an_error(url: str) -> None:
    with pytest.raises(SmokeFailed, match="not the URL of a service"):
        list(smoke(url, "1.2.0", 0.0))


def test_a_service_that_does_not_answer_fails_the_check() -> None:
    with pytest.raises(SmokeFailed, match="/health/ready: no answer"):
        list(smoke(f"http://127.0.0.1:{free_port()}", "1.2.0", 0.0))


def test_the_real_service_passes_the_make_target(database_url: str, tmp_path: Path) -> None:
    environ = environment(tmp_path, SMP_DATABASE_URL=database_url, SMP_SWEEP_INTERVAL_S="0", SMP_LOG_LEVEL="warning")
    with starting(environ, tmp_path) as service:
        done = subprocess.run(
            ["make", "-s", "smoke", f"PYTHON={sys.executable}"],
            cwd=ROOT,
            env={**os.environ, "URL": f"http://127.0.0.1:{service.port}"},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 5), done.stderr
