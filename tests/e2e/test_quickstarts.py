"""The quickstarts work as written: each product runs with a real process, and a real browser opens the React page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.support.examples import EXAMPLES, nginx, program, running, with_npm_packages
from tests.support.pages import (
    ADDRESS,
    ADMIN_EMAIL,
    ADMIN_PASSWORD,
    DOCS,
    PRODUCT_ADDRESS,
    missing_output,
    run_commands,
)
from tests.support.processes import Service, free_port, run, serving

CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
BUILD_S = 120.0


@pytest.fixture
def service(environ: dict[str, str], database_url: str, folder: Path) -> Iterator[Service]:
    settings = {"SMP_DATABASE_URL": database_url, "SMP_ADMIN_EMAIL": ADMIN_EMAIL, "SMP_ADMIN_PASSWORD": ADMIN_PASSWORD}
    with serving(environ | settings, folder) as service:
        yield service


def quickstart(name: str) -> str:
    return (DOCS / "quickstart" / f"{name}.md").read_text(encoding="utf-8")


@contextmanager
def product(command: Sequence[str], port: int, cwd: Path, service: Service, folder: Path) -> Iterator[None]:
    """Run the product of a quickstart with a new API key, as the page starts it."""
    secret = json.loads(run(service.environ, "api-key", "create", "product", "--json").stdout)["secret"]
    entitlements = {"ENTITLEMENTS_URL": f"http://127.0.0.1:{service.port}", "ENTITLEMENTS_KEY": secret}
    with running(command, port, folder, {**os.environ, **entitlements, "PORT": str(port)}, cwd):
        yield


def check(name: str, service: Service, port: int, folder: Path) -> None:
    page = quickstart(name)
    done = run_commands(page, service.environ, {ADDRESS: service.port, PRODUCT_ADDRESS: port}, folder)
    assert done.returncode == 0, done.stderr
    assert missing_output(page, done.stdout) == [], done.stdout


def test_a_fastapi_product_serves_what_the_subscription_allows(service: Service, folder: Path) -> None:
    program("curl")
    port, cwd = free_port(), EXAMPLES / "quickstart-fastapi"
    with product([sys.executable, "-m", "uvicorn", "product:app", "--port", str(port)], port, cwd, service, folder):
        check("fastapi", service, port, folder)


def test_a_django_product_serves_what_the_subscription_allows(service: Service, folder: Path) -> None:
    program("curl")
    port, cwd = free_port(), EXAMPLES / "quickstart-django"
    command = [sys.executable, "product.py", "runserver", "--noreload", str(port)]
    with product(command, port, cwd, service, folder):
        check("django", service, port, folder)


def test_an_express_product_serves_what_the_subscription_allows(service: Service, folder: Path) -> None:
    program("curl")
    port, cwd = free_port(), with_npm_packages("quickstart-express", folder)
    with product([program("node"), "product.mjs"], port, cwd, service, folder):
        check("express", service, port, folder)


@contextmanager
def browser_page(address: str) -> Iterator[Page]:
    """Open a page of a real browser at this address; an error in its console fails the test."""
    chromium = program("chromium", "chromium-browser", "google-chrome")
    errors: list[str] = []
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM)) as browser,
    ):
        page = browser.new_page(locale="en-US")
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        yield page
    assert errors == []


def sign_up_and_try(page: Page, email: str) -> None:
    """Register, start the trial of the plan, see the allowed features, and sign out."""
    expect(page.get_by_text("Pro, $19.90 each P1M")).to_be_visible()
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill("too short")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Try Pro").click()
    expect(page.get_by_text("seats: 5")).to_be_visible()
    expect(page.get_by_text("export: true")).to_be_visible()
    expect(page.get_by_text("api:")).to_have_count(0)
    page.get_by_role("button", name="Try Pro").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_visitor_can_register_and_try_a_plan_on_the_react_page(service: Service, folder: Path) -> None:
    """As built and served by nginx, and as served by Vite in development."""
    cwd, port, vite_port = with_npm_packages("quickstart-react", folder), free_port(), free_port()
    prepared = run_commands(quickstart("react"), service.environ, {ADDRESS: service.port}, folder)
    assert prepared.returncode == 0, prepared.stderr
    environ = {**os.environ, "ENTITLEMENTS_URL": f"http://127.0.0.1:{service.port}"}
    vite = [program("node"), "node_modules/vite/bin/vite.js"]
    subprocess.run([*vite, "build"], cwd=cwd, env=environ, timeout=BUILD_S, check=True)
    places = {
        ADDRESS: f"127.0.0.1:{service.port}",
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        "root dist": f"root {cwd}/dist",
    }
    with nginx(cwd / "nginx.conf", places, port, folder), browser_page(f"http://127.0.0.1:{port}/") as page:
        sign_up_and_try(page, "ada@example.com")
    options = ["--host", "127.0.0.1", "--port", str(vite_port), "--strictPort"]
    address = f"http://127.0.0.1:{vite_port}/"
    with running([*vite, *options], vite_port, folder, environ, cwd), browser_page(address) as page:
        sign_up_and_try(page, "grace@example.com")
