"""``smp doctor``: checks of the settings, the database, the migrations and the data."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from smp.adapters.cli.runtime import SchemaState
from smp.adapters.embedded_postgres.errors import EmbeddedPostgresError
from smp.adapters.postgres.clock import DatabaseClock
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.replica_reads import LIMITS, ReplicaReads
from smp.adapters.postgres.session_checks import check_session
from smp.adapters.security.common_passwords import CommonPasswordList
from smp.application.caller import OPERATOR
from smp.application.errors import ApplicationError, ClocksDiffer
from smp.application.execution import Handler
from smp.application.queries.run_diagnostics import RunDiagnostics
from smp.application.queries.views import CheckResult
from smp.bootstrap.container import build_container
from smp.bootstrap.database import EMBEDDED_FOLDER, describe, open_database, schema_state
from smp.bootstrap.failures import database_trouble
from smp.bootstrap.logging import configure_logging
from smp.bootstrap.settings import Settings, SettingsInvalid, load_settings
from smp.domain.errors import StorageIntegrityError

_EMBEDDED = "do what the message says; smp serve would fail with the same error"
_REPLICA = "lists and statistics are read from the primary until then; check that the standby runs and follows it"
_CLOCK = "run NTP on both machines; see docs/operations/incidents.md, A clock is wrong"
_PROBES = 5
_PROBE_EVERY_S = 0.2
_BLOCKLIST = "correct SMP_PASSWORD_BLOCKLIST: it must name a text file in UTF-8, one password a line"


async def diagnose(environ: Mapping[str, str]) -> Sequence[CheckResult]:
    """Run all checks and return their results; a check that depends on a failed one is left out."""
    try:
        settings = load_settings(environ)
    except SettingsInvalid as invalid:
        return [
            CheckResult("settings", ok=False, detail=problem, advice="correct the environment variable")
            for problem in invalid.problems
        ]
    configure_logging(settings.log_format, settings.log_level)
    results = [CheckResult("settings", ok=True, detail=f"{settings.environment}; SMP_ variables are as they should be")]
    results += _blocklist(settings)
    if os.geteuid() == 0:
        results.append(CheckResult("user", ok=True, detail="running as root: works, but nothing here needs it"))
    embedded = settings.data_dir / EMBEDDED_FOLDER
    if settings.database_url is None and not embedded.exists():
        return [*results, CheckResult("database", ok=True, detail=f"none in {embedded} yet; smp serve makes it")]
    try:
        with open_database(settings) as opened:
            return [*results, *await _database(opened, describe(settings))]
    except (EmbeddedPostgresError, OSError) as error:
        return [*results, CheckResult("database", ok=False, detail=str(error), advice=_EMBEDDED)]


def _blocklist(settings: Settings) -> list[CheckResult]:
    if settings.password_blocklist is None:
        return []
    try:
        CommonPasswordList(settings.password_blocklist).load()
    except (OSError, ValueError) as error:
        return [CheckResult("password blocklist", ok=False, detail=str(error), advice=_BLOCKLIST)]
    return [CheckResult("password blocklist", ok=True, detail=str(settings.password_blocklist))]


async def _database(opened: Settings, name: str) -> list[CheckResult]:
    try:
        state = await schema_state(opened)
    except (ApplicationError, StorageIntegrityError) as error:
        return [_trouble("database", error, name)]
    results = [CheckResult("database", ok=True, detail=f"{name} answers"), _schema(state)]
    if not state.is_current:
        return results
    container = build_container(opened)
    try:
        results += await check_session(await container.get(PostgresPool))
        results.append(await _clock(await container.get(DatabaseClock)))
        results += await (await container.get(Handler[RunDiagnostics, Sequence[CheckResult]]))(
            RunDiagnostics(), OPERATOR
        )
        if opened.database_replica_url is not None:
            results.append(await _replica(await container.get(ReplicaReads)))
    except (ApplicationError, StorageIntegrityError) as error:
        results.append(_trouble("invariants", error, name))
    finally:
        await container.close()
    return results


async def _clock(clock: DatabaseClock) -> CheckResult:
    try:
        await clock.confirm()
    except ClocksDiffer as difference:
        return CheckResult("clock", ok=False, detail=str(difference), advice=_CLOCK)
    return CheckResult("clock", ok=True, detail="this machine and the database agree on the time")


async def _replica(lists: ReplicaReads) -> CheckResult:
    for _ in range(_PROBES):
        await lists.probe()
        if lists.lag_s is None:
            await asyncio.sleep(_PROBE_EVERY_S)
    if lists.lag_s is None or lists.lag_s > LIMITS.lag_s:
        return CheckResult(
            "replica", ok=False, detail="does not answer, or does not follow the primary", advice=_REPLICA
        )
    return CheckResult("replica", ok=True, detail=f"answers; its data are {lists.lag_s:.1f} s old at most")


def _trouble(check: str, error: Exception, name: str) -> CheckResult:
    detail = database_trouble(error, name) or str(error)
    return CheckResult(check, ok=False, detail=detail, advice="then run smp doctor again")


def _schema(state: SchemaState) -> CheckResult:
    if state.is_current:
        return CheckResult("migrations", ok=True, detail=f"up to date, at {state.head}")
    detail = f"the schema is at {state.current or 'nothing'}, and this version needs {state.head}"
    newer = state.current is not None and state.current > state.head
    advice = "install the version of SMP that migrated it" if newer else "run smp migrate"
    return CheckResult("migrations", ok=False, detail=detail, advice=advice)
