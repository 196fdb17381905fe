"""The running service conforms to its OpenAPI document, for all requests that Schemathesis generates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.clients import Browser
from tests.support.processes import serving

EXAMPLES: Final = "6"
LIMIT_S: Final = 150
CHECKS: Final = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# They would sign the administrator out, in one way or another, and all that follows would be 401.
ENDS_THE_SESSION: Final = (
    "logIn",
    "logOut",
    "endSession",
    "endOtherSessions",
    "endSessionOfUser",
    "endSessionsOfUser",
    "changeUser",
    "changePassword",
)


def test_every_response_to_generated_requests_is_documented(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    """No 5xx; status, media type and body are in the document."""
    with serving({**environ, "SMP_DATABASE_URL": database_url}, folder) as service, Browser(service.port) as browser:
        credentials = {"email": environ["SMP_ADMIN_EMAIL"], "password": environ["SMP_ADMIN_PASSWORD"]}
        signed_in = browser.ask("POST", "/v1/auth/login", credentials)
        token = signed_in.headers["set-cookie"].split(";")[0]
        excluded = [part for name in ENDS_THE_SESSION for part in ("--exclude-operation-id", name)]
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("st")),
                "run",
                f"http://127.0.0.1:{service.port}/openapi.json",
                *("--max-examples", EXAMPLES, "--checks", CHECKS, "--header", f"Cookie: {token}"),
                *("--no-color", "--generation-deterministic"),
                *excluded,
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-8_000:]
    assert "Tested: 38" in done.stdout, done.stdout[-2_000:]
