"""The access endpoint in front of a product, as docs/gating.md shows it, with nginx and a small program."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.clients import Browser
from tests.support.examples import EXAMPLES, nginx, running
from tests.support.pages import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.support.processes import Service, free_port, serving

GATE = EXAMPLES / "gate-nginx"


class Product(BaseHTTPRequestHandler):
    """A product without access control."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the product")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def product(port: int) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", port), Product) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


@pytest.fixture
def service(environ: dict[str, str], database_url: str, folder: Path) -> Iterator[Service]:
    settings = {"SMP_DATABASE_URL": database_url, "SMP_ADMIN_EMAIL": ADMIN_EMAIL, "SMP_ADMIN_PASSWORD": ADMIN_PASSWORD}
    with serving(environ | settings, folder) as service:
        yield service


@pytest.fixture
def origin(service: Service, folder: Path) -> Iterator[int]:
    """Return the port of nginx, with the product and the access endpoint behind it."""
    gate_port, product_port, port = free_port(), free_port(), free_port()
    environ = dict(os.environ) | {"ENTITLEMENTS_URL": f"http://127.0.0.1:{service.port}", "PORT": str(gate_port)}
    ports = {
        "127.0.0.1:8000": f"127.0.0.1:{service.port}",
        "127.0.0.1:9001": f"127.0.0.1:{gate_port}",
        "127.0.0.1:9002": f"127.0.0.1:{product_port}",
        "127.0.0.1:8080": f"127.0.0.1:{port}",
    }
    with (
        product(product_port),
        running([sys.executable, str(GATE / "gate.py")], gate_port, folder, environ, GATE),
        nginx(GATE / "nginx.conf", ports, port, folder),
    ):
        yield port


def test_nginx_passes_on_only_what_the_subscription_allows(service: Service, origin: int) -> None:
    """401 without a session, 403 without the feature, the product with it, and 500 while SMP is down."""
    with Browser(origin) as browser:
        assert browser.ask("GET", "/").body == b"the product"
        assert browser.ask("GET", "/reports/1").status == 401
        browser.log_in(ADMIN_EMAIL, ADMIN_PASSWORD)
        assert browser.ask("GET", "/reports/1").status == 403
        plan = {"code": "pro", "name": "Pro", "price": {"amount": 0, "currency": "USD"}, "features": {"export": True}}
        assert browser.ask("POST", "/v1/plans", plan).status == 201
        activated = browser.ask(
            "POST", "/v1/me/subscription/activate", {"plan": "pro"}, {"Origin": f"http://127.0.0.1:{origin}"}
        )
        assert activated.status == 201, activated
        allowed = browser.ask("GET", "/reports/1")
        assert (allowed.status, allowed.body) == (200, b"the product")
        assert browser.ask("GET", "/gate/export").status == 404, "the gate is not for browsers"
        service.stop()
        assert browser.ask("GET", "/reports/1").status == 500
