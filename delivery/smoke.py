"""Does a service that was just rolled out do what it is there for?

Asked from outside and without an account: that it lives and is ready, which version answers, that it reads its
database, and that its doors are closed.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from delivery.failures import StepFailed

READY_WITHIN_S: Final = 120.0
ANSWER_WITHIN_S: Final = 10.0
PAUSE_S: Final = 1.0
BODY_BYTES_MAX: Final = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the media type without its parameters, and the JSON that it holds."""

    status: int
    media_type: str
    body: Any


def smoke(url: str, version: str, ready_within_s: float = READY_WITHIN_S) -> Iterator[str]:
    """Wait until the service of this version is ready, then ask it; yields each thing that was found to be so.

    Raises:
        StepFailed: the first thing that is not as it has to be.
    """
    _wait(url, version, ready_within_s)
    yield f"version {version} is ready"
    for name, path, is_right in _EXPECTED:
        answer = _ask(url, path)
        if not is_right(answer):
            raise StepFailed(f"{path}: {name}, but the answer was {answer.status} {answer.media_type} {answer.body}")
        yield f"{path}: {name}"


def _wait(url: str, version: str, within_s: float) -> None:
    """Behind a load balancer the version before may answer for a moment."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            ready = _ask(url, "/health/ready")
            running = _ask(url, "/openapi.json")
        except StepFailed as failure:
            state = str(failure)
        else:
            found = running.body["info"].get("version") if _is_document(running) else None
            if ready.status == http.client.OK and found == version:
                return
            state = f"ready: {ready.status} {ready.body}, version: {found}"
        if time.monotonic() > deadline:
            raise StepFailed(f"{url} is not ready with version {version} after {within_s:.0f} s; {state}")
        time.sleep(PAUSE_S)


def _is_document(answer: Answer) -> bool:
    return _has(answer, "info", dict)


def _is_alive(answer: Answer) -> bool:
    return answer.status == http.client.OK and answer.body == {"status": "live"}


def _is_list_of_plans(answer: Answer) -> bool:
    return _has(answer, "items", list)


def _has(answer: Answer, name: str, kind: type) -> bool:
    return answer.status == http.client.OK and isinstance(answer.body, dict) and isinstance(answer.body.get(name), kind)


def _is_refusal(answer: Answer) -> bool:
    return answer.status == http.client.UNAUTHORIZED and answer.media_type == "application/problem+json"


_EXPECTED: Final[tuple[tuple[str, str, Callable[[Answer], bool]], ...]] = (
    ("the process lives", "/health/live", _is_alive),
    ("plans are read from the database", "/v1/plans", _is_list_of_plans),
    ("who has not signed in is refused", "/v1/me", _is_refusal),
    ("so is who asks for others", "/v1/users", _is_refusal),
)


def _ask(url: str, path: str) -> Answer:
    """One GET. Raises StepFailed where no answer comes."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or parts.hostname is None:
        raise StepFailed(f"not the URL of a service: {url}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(kind(parts.hostname, parts.port, timeout=ANSWER_WITHIN_S)) as connection:
        try:
            connection.request("GET", parts.path.rstrip("/") + path, headers={"Accept": "application/json"})
            answer = connection.getresponse()
            body = answer.read(BODY_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise StepFailed(f"{path}: no answer: {error}") from error
    try:
        decoded = json.loads(body)
    except ValueError:
        decoded = None
    return Answer(answer.status, answer.headers.get_content_type(), decoded)
