"""Check a service that was just rolled out: ``smoke.py URL VERSION``.

The check needs no account and no package. It waits until the service is ready and runs this version, then asks for
answers that need the database, and for answers that must be refused. Exit code 0: all is well; 1: the last line says
what is wrong.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

READY_WITHIN_S: Final = 120.0
ANSWER_WITHIN_S: Final = 10.0
PAUSE_S: Final = 1.0
BODY_BYTES_MAX: Final = 4 * 2**20

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"

EXPECTED: Final = (
    ("the process is alive", "/health/live", 200, JSON, "status"),
    ("plans are read from the database", "/v1/plans", 200, JSON, "items"),
    ("a caller who is not signed in is refused", "/v1/me", 401, PROBLEM, "status"),
    ("a caller who is not signed in cannot list users", "/v1/users", 401, PROBLEM, "status"),
)
"""What is checked, the path, and the answer's status, media type and a field that its JSON object must have."""


class SmokeFailed(Exception):
    """The service does not answer as it must; the message says what is wrong."""


def smoke(url: str, version: str, ready_within_s: float = READY_WITHIN_S) -> Iterator[str]:
    """Wait until the service is ready with this version, then check its answers. Yields a line for each check.

    Raises:
        SmokeFailed: at the first check that fails.
    """
    _wait(url, version, ready_within_s)
    yield f"version {version} is ready"
    for name, path, *expected, field in EXPECTED:
        status, media_type, body = _get(url, path)
        if [status, media_type] != expected or not isinstance(body, dict) or field not in body:
            raise SmokeFailed(f"{path}: expected that {name}, but the answer was {status} {media_type} {body}")
        yield f"{path}: {name}"


def _wait(url: str, version: str, within_s: float) -> None:
    """Wait for this version; a load balancer may send the first requests to the previous one."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            ready, _, _ = _get(url, "/health/ready")
            _, _, document = _get(url, "/openapi.json")
        except SmokeFailed as failure:
            state = str(failure)
        else:
            running = document.get("info", {}).get("version") if isinstance(document, dict) else None
            if (ready, running) == (200, version):
                return
            state = f"ready: {ready}, version: {running}"
        if time.monotonic() > deadline:
            raise SmokeFailed(f"{url} is not ready with version {version} after {within_s:.0f} s; {state}")
        time.sleep(PAUSE_S)


def _get(url: str, path: str) -> tuple[int, str, Any]:
    """Return the status, the media type and the decoded JSON, which is None for any other body."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or parts.hostname is None:
        raise SmokeFailed(f"not the URL of a service: {url}")
    connection = (HTTPSConnection if parts.scheme == "https" else HTTPConnection)(
        parts.hostname, parts.port, timeout=ANSWER_WITHIN_S
    )
    try:
        connection.request("GET", parts.path.rstrip("/") + path, headers={"Accept": JSON})
        answer = connection.getresponse()
        body = answer.read(BODY_BYTES_MAX)
    except (OSError, HTTPException) as error:
        raise SmokeFailed(f"{path}: no answer: {error}") from error
    finally:
        connection.close()
    try:
        return answer.status, answer.headers.get_content_type(), json.loads(body)
    except ValueError:
        return answer.status, answer.headers.get_content_type(), None


if __name__ == "__main__":
    service_url, expected_version = sys.argv[1:]
    try:
        for line in smoke(service_url, expected_version):
            print(line, flush=True)
    except SmokeFailed as failure:
        sys.exit(f"smoke: {failure}")
