"""The running service conforms to its OpenAPI document, for all requests that Schemathesis generates for each caller.

The rules, with the reasons of the exceptions, are in `schemathesis.toml`. `FUZZ_EXAMPLES` sets how many requests each
operation gets in each of the phases with random data (`make fuzz`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.support.clients import Browser
from tests.support.processes import run, serving

EXAMPLES: Final = os.environ.get("FUZZ_EXAMPLES", "3")
LIMIT_S: Final = 150 * int(EXAMPLES)
CASES_MIN: Final = 1_250
"""For each caller, so 5,000 in all."""

RULES: Final = Path(__file__).with_name("schemathesis.toml").read_text(encoding="utf-8")
# The first seed also runs the phases without random data.
SEEDS: Final = {"1": "examples,coverage,fuzzing,stateful", "2": "fuzzing,stateful", "3": "fuzzing,stateful"}
# They would end the session of the caller, or move the clock behind its end, and all that follows would be 401.
ENDS_THE_SESSION: Final = (
    "logIn",
    "logOut",
    "endSession",
    "endOtherSessions",
    "endSessionOfUser",
    "endSessionsOfUser",
    "changeUser",
    "changePassword",
    "setTestClock",
)
CREDENTIALS: Final = {
    "anonymous": "",
    "user": '[auth.openapi.session]\napi_key = "{token}"\n',
    "admin": '[auth.openapi.session]\napi_key = "{token}"\n',
    "service": '[auth.openapi.api_key]\nbearer = "{token}"\n',
}
PLAN: Final = {
    "code": "pro",
    "name": "Pro",
    "price": {"amount": 0, "currency": "USD"},
    "period": "P1M",
    "trial_period": "P14D",
    "features": {"export": True, "seats": 5},
}


@pytest.mark.parametrize("caller", CREDENTIALS)
def test_every_response_to_generated_requests_is_as_documented(
    caller: str, environ: dict[str, str], database_url: str, folder: Path
) -> None:
    """All checks of Schemathesis, for three seeds."""
    environ = {**environ, "SMP_DATABASE_URL": database_url, "SMP_TEST_CLOCK": "1"}
    with serving(environ, folder) as service, Browser(service.port) as browser:
        token = token_of(caller, environ, browser)
        config = folder / "schemathesis.toml"
        config.write_text(RULES + CREDENTIALS[caller].format(token=token), encoding="utf-8")
        excluded: Sequence[str] = [] if caller == "anonymous" else ENDS_THE_SESSION
        cases = sum(check(seed, config, service.port, excluded) for seed in SEEDS)
    assert cases >= CASES_MIN


def token_of(caller: str, environ: dict[str, str], browser: Browser) -> str | None:
    """Create a plan, and return the credential of the caller, who is new."""
    admin, password = environ["SMP_ADMIN_EMAIL"], environ["SMP_ADMIN_PASSWORD"]
    browser.log_in(admin, password)
    assert browser.ask("POST", "/v1/plans", PLAN).status == 201
    if caller == "user":
        browser.ask("POST", "/v1/auth/register", {"email": "ada@example.com", "password": password})
        browser.log_in("ada@example.com", password)
    if caller == "service":
        found = re.search(r'"secret": *"([^"]+)"', run(environ, "api-key", "create", "fuzz", "--json").stdout)
        assert found
        return found[1]
    return browser.token


def check(seed: str, config: Path, port: int, excluded: Sequence[str]) -> int:
    """Run Schemathesis; fail for a finding, and return the number of requests that it sent."""
    options = ["--seed", seed, "--phases", SEEDS[seed], "--max-examples", EXAMPLES, "--checks", "all", "--no-color"]
    options += [part for name in excluded for part in ("--exclude-operation-id", name)]
    schemathesis = Path(sys.executable).with_name("st")
    done = subprocess.run(
        [schemathesis, "--config-file", config, "run", f"http://127.0.0.1:{port}/openapi.json", *options],
        cwd=config.parent,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases, done.stdout[-2_000:]
    return int(cases[1])
