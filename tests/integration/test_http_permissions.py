"""Who may use which operation over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import httpx
import pytest

from tests.support.http_platform import Platform, serving

MATRIX: Final = {
    # The status of a request without a body from: a visitor, Ada, another user, an administrator, a service, and a
    # disabled user. Paths name Ada, Ada's subscription, and no session. The rows are in the order of the requests.
    "register": (400, 400, 400, 400, 400, 400),
    "logIn": (400, 400, 400, 400, 400, 400),
    "logOut": (401, 204, 204, 204, 403, 401),
    "getMe": (401, 200, 200, 200, 403, 401),
    "changePassword": (401, 400, 400, 400, 403, 401),
    "listSessions": (401, 200, 200, 200, 403, 401),
    "endSession": (401, 404, 404, 404, 403, 401),
    "endOtherSessions": (401, 204, 204, 204, 403, 401),
    "listPlans": (200, 200, 200, 200, 200, 200),
    "getPlan": (200, 200, 200, 200, 200, 200),
    "createPlan": (401, 403, 403, 400, 403, 401),
    "changePlan": (401, 403, 403, 400, 403, 401),
    "archivePlan": (401, 403, 403, 200, 403, 401),
    "restorePlan": (401, 403, 403, 200, 403, 401),
    "listPlanRevisions": (401, 403, 403, 200, 403, 401),
    "getSubscription": (401, 200, 404, 404, 403, 401),
    "startTrial": (401, 400, 400, 400, 403, 401),
    "activate": (401, 400, 400, 400, 403, 401),
    "cancel": (401, 200, 404, 404, 403, 401),
    "resume": (401, 404, 404, 404, 403, 401),
    "renew": (401, 404, 404, 404, 403, 401),
    "listSubscriptionHistory": (401, 200, 200, 200, 403, 401),
    "getSubscriptionOfUser": (401, 403, 403, 404, 403, 401),
    "startTrialOfUser": (401, 403, 403, 400, 403, 401),
    "activateOfUser": (401, 403, 403, 400, 403, 401),
    "cancelOfUser": (401, 403, 403, 404, 403, 401),
    "resumeOfUser": (401, 403, 403, 404, 403, 401),
    "renewOfUser": (401, 403, 403, 404, 403, 401),
    "listSubscriptionHistoryOfUser": (401, 403, 403, 200, 403, 401),
    "getSubscriptionById": (401, 200, 404, 200, 403, 401),
    "listSubscriptionEvents": (401, 200, 404, 200, 403, 401),
    "listSubscriptions": (401, 403, 403, 200, 403, 401),
    "listUsers": (401, 403, 403, 200, 403, 401),
    "getUser": (401, 403, 403, 200, 403, 401),
    "changeUser": (401, 403, 403, 400, 403, 401),
    "listSessionsOfUser": (401, 403, 403, 200, 403, 401),
    "endSessionOfUser": (401, 403, 403, 404, 403, 401),
    "endSessionsOfUser": (401, 403, 403, 204, 403, 401),
    "getStatistics": (401, 403, 403, 200, 403, 401),
    "listAccess": (401, 200, 200, 200, 403, 401),
    "checkAccess": (401, 200, 200, 200, 403, 401),
    "listAccessOfUser": (401, 403, 403, 200, 200, 401),
    "checkAccessOfUser": (401, 403, 403, 200, 200, 401),
    "getTestClock": (401, 403, 403, 200, 403, 401),
    "setTestClock": (401, 403, 403, 400, 403, 401),
    "live": (200, 200, 200, 200, 200, 200),
    "ready": (200, 200, 200, 200, 200, 200),
    "metrics": (200, 200, 200, 200, 200, 200),
}
REFUSED: Final = {401, 403}


@dataclass(frozen=True, slots=True)
class Callers:
    """The kinds of callers. Users sign in for each operation, because some operations end sessions."""

    in_order: tuple[Callable[[], Awaitable[httpx.AsyncClient]], ...]
    paths: dict[str, tuple[str, str]]
    """The method and the path of each operation."""

    async def statuses(self, operation: str, **query: str) -> tuple[int, ...]:
        """Return the status that each caller gets."""
        method, path = self.paths[operation]
        return tuple(
            [(await (await sign_in()).request(method, path, params=query)).status_code for sign_in in self.in_order]
        )


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Platform]:
    async with serving(database_url) as platform:
        yield platform


@pytest.fixture
async def callers(platform: Platform) -> Callers:
    await platform.offer()
    ada = await platform.registered("ada@example.com")
    subscription = (await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})).json()
    await platform.registered("bob@example.com")
    admin, disabled = await platform.signed_in(), await platform.registered("carol@example.com")
    carol = (await disabled.get("/v1/me")).json()["id"]
    assert (await admin.patch(f"/v1/users/{carol}", json={"disabled": True})).status_code == 200

    async def disabled_user() -> httpx.AsyncClient:
        return disabled

    names = {
        "user_id": (await ada.get("/v1/me")).json()["id"],
        "subscription_id": subscription["id"],
        "session_id": "x",
        "plan": "pro",
        "feature": "export",
    }
    document = (await admin.get("/openapi.json")).json()
    return Callers(
        (
            platform.visitor,
            lambda: platform.signed_in("ada@example.com"),
            lambda: platform.signed_in("bob@example.com"),
            platform.signed_in,
            platform.service,
            disabled_user,
        ),
        {
            operation["operationId"]: (method.upper(), path.format(**names))
            for path, item in document["paths"].items()
            for method, operation in item.items()
        },
    )


async def test_each_operation_is_for_the_callers_that_the_matrix_names(callers: Callers) -> None:
    assert callers.paths.keys() == MATRIX.keys()
    assert {operation: await callers.statuses(operation) for operation in MATRIX} == MATRIX


async def test_a_caller_without_permission_is_refused_before_the_rest_of_the_request_is_checked(
    callers: Callers,
) -> None:
    """Everyone else gets 400 for an unknown parameter."""
    expected = {
        operation: tuple(status if status in REFUSED else 400 for status in row) for operation, row in MATRIX.items()
    }
    assert {operation: await callers.statuses(operation, unknown="1") for operation in MATRIX} == expected
