"""Every HTTP operation names the use case that it runs, so the table of permissions says who may use it."""

from __future__ import annotations

from typing import Any, Final, cast, get_args, get_origin, get_type_hints

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from smp.adapters.http.access.app import OPERATIONS
from smp.adapters.http.middleware.stack import MiddlewareStack
from smp.adapters.http.operation import NO_USE_CASE, OPERATION, Operation
from smp.application.authorization import PERMISSIONS
from smp.application.execution import Handler
from smp.application.queries.get_user import GetUser
from smp.bootstrap.container import build_container
from smp.bootstrap.http import HttpProvider, build_app
from smp.bootstrap.settings import load_settings

WITHOUT_USE_CASE: Final = {"live", "ready", "metrics", "page"}
"""The only operations that are for anyone without a row in the table of permissions."""

OF_FRAMEWORK: Final = "/_openapi"
"""Where Litestar serves the document before it is completed."""


def handlers() -> list[tuple[str, HTTPRouteHandler]]:
    """Return every handler of the program with its path; the database is never connected to."""
    settings = load_settings({"SMP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", "SMP_TEST_CLOCK": "1"})
    app = cast("MiddlewareStack", build_app(settings, build_container(settings, HttpProvider())))
    return [
        (route.path, handler)
        for route in cast("Litestar", app._lifespan).routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if "OPTIONS" not in handler.http_methods and not route.path.startswith(OF_FRAMEWORK)
    ]


def operations() -> list[tuple[str, Operation]]:
    """Return every operation with its path. Fails for a handler without one."""
    found = [(path, handler.opt[OPERATION]) for path, handler in handlers()]
    assert len(found) > 45
    return [*found, *OPERATIONS.items()]


def use_cases_of(handler: HTTPRouteHandler) -> list[type[Any]]:
    """Return the use cases whose handlers are injected."""
    function = cast("Any", handler.fn)
    hints = get_type_hints(getattr(function, "__dishka_orig_func__", function))
    return [get_args(hint)[0] for hint in hints.values() if get_origin(hint) is Handler]


def test_an_operation_without_a_row_in_the_table_of_permissions_is_one_of_the_stated_exceptions() -> None:
    without = {operation.id for _, operation in operations() if operation.use_case not in PERMISSIONS}
    marked = {operation.id for _, operation in operations() if operation.use_case is NO_USE_CASE}
    assert without == marked == WITHOUT_USE_CASE


def test_an_operation_is_authorized_for_the_use_case_that_it_runs() -> None:
    for path, handler in handlers():
        operation: Operation = handler.opt[OPERATION]
        # The authenticated caller already has the user whom getMe returns.
        runs = [GetUser] if operation.id == "getMe" else use_cases_of(handler)
        assert runs == ([] if operation.use_case is NO_USE_CASE else [operation.use_case]), path


def test_an_operation_is_about_the_caller_if_its_path_is() -> None:
    for path, operation in operations():
        assert operation.about_caller == path.startswith("/v1/me"), path
