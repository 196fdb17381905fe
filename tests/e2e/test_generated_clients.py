"""Clients that common generators make from the OpenAPI document work: each signs in, subscribes and checks access.

The clients are generated into the folder of the test, and used by a program of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.support.clients import Browser
from tests.support.examples import npm_packages, program
from tests.support.openapi import openapi_document
from tests.support.processes import Service, serving

LIMIT_S: Final = 120
NODE_NEEDED: Final = (20, 19)
TYPESCRIPT: Final = Path(__file__).with_name("typescript_client")
PLAN: Final = {
    "code": "pro",
    "name": "Pro",
    "price": {"amount": 0, "currency": "USD"},
    "period": "P1M",
    "trial_period": "P14D",
    "features": {"export": True, "seats": 5},
}

# Each program takes the address of the service and the password; the user is ada@example.com, and "pro" has a trial.
OPENAPI_PYTHON_CLIENT: Final = """
import sys
from uuid import uuid4

from smp_client.api.access import check_access
from smp_client.api.auth import log_in, log_out
from smp_client.api.subscriptions import cancel, get_subscription, start_trial
from smp_client.client import AuthenticatedClient, Client
from smp_client.models import AccessOut, Problem, Reason, StartTrialIn, Status, SubscriptionOut, LoginIn, UserOut

address, password = sys.argv[1:]
visitor = Client(base_url=address, raise_on_unexpected_status=True)
response = log_in.sync_detailed(client=visitor, body=LoginIn(email="ada@example.com", password=password))
assert isinstance(response.parsed, UserOut)
cookie = response.headers["set-cookie"].split(";")[0]
ada = AuthenticatedClient(base_url=address, token=cookie, prefix="", auth_header_name="Cookie")
missing = get_subscription.sync(client=ada)
assert isinstance(missing, Problem) and missing.type_ == "/problems/no-live-subscription"
key = str(uuid4())
trial = start_trial.sync(client=ada, body=StartTrialIn(plan="pro"), idempotency_key=key)
assert isinstance(trial, SubscriptionOut) and trial.status is Status.TRIAL and trial.trial_ends_at is not None
again = start_trial.sync_detailed(client=ada, body=StartTrialIn(plan="pro"), idempotency_key=key)
assert again.headers["Idempotency-Replayed"] == "true"
access = check_access.sync("seats", client=ada)
assert isinstance(access, AccessOut) and access.value == 5 and access.reason is Reason.GRANTED
ended = cancel.sync(client=ada)
assert isinstance(ended, SubscriptionOut) and ended.status is Status.CANCELLED
assert log_out.sync_detailed(client=ada).status_code == 204
"""

OPENAPI_GENERATOR: Final = """
import sys
from uuid import uuid4

import smp_client
from smp_client.exceptions import NotFoundException

address, password = sys.argv[1:]
with smp_client.ApiClient(smp_client.Configuration(host=address)) as visitor:
    login = smp_client.LoginIn(email="ada@example.com", password=password)
    response = smp_client.AuthApi(visitor).log_in_with_http_info(login)
    assert response.data.role is smp_client.Role.USER
    cookie = response.headers["set-cookie"].split(";")[0]
with smp_client.ApiClient(smp_client.Configuration(host=address), cookie=cookie) as ada:
    subscriptions = smp_client.SubscriptionsApi(ada)
    try:
        subscriptions.get_subscription()
    except NotFoundException as error:
        assert error.data.type == "/problems/no-live-subscription"
    else:
        raise AssertionError("a user without a subscription has one")
    key = str(uuid4())
    trial = subscriptions.start_trial(smp_client.StartTrialIn(plan="pro"), idempotency_key=key)
    assert trial.status is smp_client.Status.TRIAL and trial.trial_ends_at is not None
    again = subscriptions.start_trial_with_http_info(smp_client.StartTrialIn(plan="pro"), idempotency_key=key)
    assert again.headers["idempotency-replayed"] == "true"
    access = smp_client.AccessApi(ada).check_access("seats")
    assert access.value.actual_instance == 5 and access.reason is smp_client.Reason.GRANTED
    assert subscriptions.cancel().status is smp_client.Status.CANCELLED
    assert smp_client.AuthApi(ada).log_out_with_http_info().status_code == 204
"""

HEY_API: Final = """
import { client } from "./smp_client/client.gen";
import { cancel, checkAccess, getSubscription, logIn, logOut, startTrial } from "./smp_client";

declare const process: { argv: string[]; exit(code: number): never };

function equal(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${actual} instead of ${expected}`);
}

const [baseUrl, password] = process.argv.slice(2) as [string, string];

async function main(): Promise<void> {
  client.setConfig({ baseUrl });
  const signedIn = await logIn({ body: { email: "ada@example.com", password } });
  equal(signedIn.data?.role, "user");
  const cookie = signedIn.response?.headers.get("set-cookie")?.split(";")[0];
  client.setConfig({ baseUrl, headers: { cookie } });
  const missing = await getSubscription();
  equal(missing.error?.type, "/problems/no-live-subscription");
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  const trial = await startTrial({ body: { plan: "pro" }, headers });
  equal(trial.data?.status, "trial");
  const again = await startTrial({ body: { plan: "pro" }, headers });
  equal(again.response?.headers.get("idempotency-replayed"), "true");
  const access = await checkAccess({ path: { feature: "seats" } });
  equal(access.data?.value, 5);
  equal(access.data?.reason, "granted");
  equal((await cancel()).data?.status, "cancelled");
  equal((await logOut()).response?.status, 204);
}

main().catch(error => { console.error(error); process.exit(1); });
"""


@pytest.fixture
def service(environ: dict[str, str], database_url: str, folder: Path) -> Iterator[Service]:
    """Return a service with a plan, and the user ada@example.com, who has the administrator's password."""
    with serving({**environ, "SMP_DATABASE_URL": database_url}, folder) as service, Browser(service.port) as browser:
        password = environ["SMP_ADMIN_PASSWORD"]
        browser.log_in(environ["SMP_ADMIN_EMAIL"], password)
        assert browser.ask("POST", "/v1/plans", PLAN).status == 201
        account = {"email": "ada@example.com", "password": password}
        assert browser.ask("POST", "/v1/auth/register", account).status == 201
        yield service


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Return the file of the document."""
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(openapi_document()), encoding="utf-8")
    return file


def run(command: Sequence[str | Path], cwd: Path, environ: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return its output; fail if the program fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    return done.stdout + done.stderr


def installed(name: str) -> Path:
    """Return a program of the environment that runs the tests."""
    return Path(sys.executable).with_name(name)


def use(service: Service, program: Sequence[str | Path], cwd: Path) -> None:
    """Run a program that uses the client."""
    address, password = f"http://127.0.0.1:{service.port}", service.environ["SMP_ADMIN_PASSWORD"]
    run([*program, address, password], cwd, {**os.environ, "PYTHONPATH": str(cwd)})


def check_types(usage: Path, cwd: Path) -> None:
    """Check the types of the client and of the program; the generator's template of `client.py` has errors itself."""
    command: list[str | Path] = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "smp_client", usage]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert done.stdout.endswith(("source files)\n", "source files\n")), done.stdout + done.stderr
    assert [line for line in errors if not line.startswith("smp_client/client.py:")] == []


def test_the_client_of_openapi_python_client_works_and_has_complete_types(
    service: Service, document: Path, tmp_path: Path
) -> None:
    path = f"{installed('ruff').parent}:{os.environ['PATH']}"
    generate: list[str | Path] = [
        "generate",
        "--path",
        document,
        "--output-path",
        tmp_path / "smp_client",
        "--meta",
        "none",
    ]
    said = run([installed("openapi-python-client"), *generate], tmp_path, {**os.environ, "PATH": path})
    assert "Warning" not in said, said
    usage = tmp_path / "usage.py"
    usage.write_text(OPENAPI_PYTHON_CLIENT, encoding="utf-8")
    check_types(usage, tmp_path)
    use(service, [sys.executable, usage], tmp_path)


def test_the_python_client_of_openapi_generator_works(service: Service, document: Path, tmp_path: Path) -> None:
    """Its Java runtime is a package of the development requirements."""
    generate: list[str | Path] = [
        "generate",
        "-g",
        "python",
        "-i",
        document,
        "-o",
        tmp_path,
        "--package-name",
        "smp_client",
    ]
    run([installed("openapi-generator-cli"), *generate], tmp_path)
    usage = tmp_path / "usage.py"
    usage.write_text(OPENAPI_GENERATOR, encoding="utf-8")
    use(service, [sys.executable, usage], tmp_path)


def test_the_typescript_client_of_hey_api_works_and_compiles_strictly(
    service: Service, document: Path, tmp_path: Path
) -> None:
    node = program("node")
    version = tuple(map(int, run([node, "--version"], tmp_path).strip().removeprefix("v").split(".")))
    if version < NODE_NEEDED:
        pytest.skip(f"@hey-api/openapi-ts needs Node.js {'.'.join(map(str, NODE_NEEDED))} or newer")
    (tmp_path / "node_modules").symlink_to(npm_packages(TYPESCRIPT))
    bin_ = tmp_path / "node_modules" / ".bin"
    run([bin_ / "openapi-ts", "-i", document, "-o", tmp_path / "smp_client"], tmp_path)
    (tmp_path / "usage.ts").write_text(HEY_API, encoding="utf-8")
    options = [
        "--strict",
        "--skipLibCheck",
        "--module",
        "commonjs",
        "--target",
        "es2022",
        "--lib",
        "es2022,dom,dom.iterable",
    ]
    run([bin_ / "tsc", *options, "--outDir", "built", "usage.ts"], tmp_path)
    use(service, [node, "built/usage.js"], tmp_path)
