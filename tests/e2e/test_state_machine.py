"""The running program compared with a model of the product, for any order of requests.

Hypothesis acts as users, administrators, the clock and the expiry job, against one server process, its command line
and PostgreSQL. After each step, all readable data are compared. ``HYPOTHESIS_PROFILE=nightly`` runs longer.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import combinations, pairwise
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, Final

import pytest
import structlog
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from smp.adapters.cli.program import run_program
from smp.adapters.security.argon2_hasher import Argon2PasswordHasher
from smp.bootstrap.runtime import ProcessServices
from smp.domain.user.user import Role
from tests.support.clients import Browser, Reply
from tests.support.platform_model import LIVE, Plan, Platform, Refusals, Subscription, Terms, replayed
from tests.support.populations import Account, population, wait_for
from tests.support.processes import Service, run, serving

PASSWORD: Final = "correct horse battery staple"
USERS: Final = 3
A_YEAR_S: Final = str(366 * 86_400)
DAY: Final = timedelta(days=1)
TICK: Final = timedelta(microseconds=1)

# By the words that the property tests know as well.
# Shrinking a failing example takes minutes, so only the nightly profile does it.
EFFORT: Final = {
    "quick": settings(max_examples=24, stateful_step_count=45, phases=set(Phase) - {Phase.shrink, Phase.explain}),
    "nightly": settings(max_examples=400, stateful_step_count=80),
}

STARTS: Final = tuple(
    datetime.fromisoformat(text)
    for text in (
        "2031-01-31T12:00:00Z",
        "2031-08-31T23:59:59.999999Z",
        "2032-02-29T00:00:00Z",
        "2032-12-31T23:30:00Z",
        "2033-03-15T06:07:08.9Z",
    )
)
FEATURES: Final = {"export": True, "seats": 5, "support": "priority"}
OFFERS: Final = (
    Terms(1990, "USD", "P1M", "P14D", FEATURES),
    Terms(9900, "EUR", "P1Y", None, {"export": True, "seats": 0, "beta": False}),
    Terms(50_000, "USD", None, "P2W", FEATURES),
    Terms(0, "JPY", "P1M", "PT12H", {"seats": 1}),
    Terms(333, "EUR", "P7D", "P1M", {"export": False}),
)
REVISIONS: Final[tuple[Mapping[str, Any], ...]] = (
    {"price": {"amount": 2490}},
    {"period": "P3M"},
    {"period": "P30D", "trial_period": "P1D"},
    {"trial_period": None},
    {"features": {"export": True, "seats": None}},
    {},
)

PLANS: Final = range(len(OFFERS))
METHODS: Final = (None, None, None, "sim_ok", "sim_declined", "sim_down")
LAPSES: Final = (*(timedelta(hours=hours) for hours in (0, 1, 12)), 9 * DAY, 31 * DAY, 367 * DAY)
SWEEPS: Final = ("late", "at once", "by command")
DISTANCES: Final = (None, None, None, None, timedelta(0), DAY, 20 * DAY, 300 * DAY)
STATUSES: Final = ("trial", "active", "expired", "cancelled")

# The steps: their weight, the name of their method, and the choices for its arguments.
STEPS: Final[Sequence[tuple[Any, ...]]] = (
    (7, "start_trial", PLANS),
    (5, "activate", PLANS, METHODS),
    (5, "convert", PLANS, METHODS),
    (6, "renew", METHODS, (1, 1, 3)),
    (6, "cancel", ("now", "period_end", "period_end")),
    (4, "resume"),
    (5, "revise", PLANS, REVISIONS, ("A plan", "Another")),
    (3, "archive_or_restore", PLANS, (True, False)),
    (2, "wait", LAPSES, SWEEPS),
    (6, "go_to_an_end", (timedelta(0), timedelta(0), TICK), SWEEPS),
    (2, "repeat", range(6)),
)

FILTERS: Final = (
    ((), *combinations(STATUSES, 1), *combinations(STATUSES, 2)),
    (None, None, None, *PLANS),
    (None, None, None, *range(USERS)),
    DISTANCES,
    DISTANCES,
    (1, 3, 100),
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a request is made: for which user, by whom, with which key, and for which version.

    Unless it is ``regardless``, the user is the next one for whom the action can succeed. With ``own_plan`` the plan is
    the one that the user has.
    """

    user: int
    regardless: bool
    own_plan: bool
    as_admin: bool
    sending: str
    match: str | None

    @classmethod
    def of(cls, chance: Random) -> Manner:
        """Choose a manner at random."""
        return cls(
            user=chance.randrange(USERS),
            regardless=chance.random() < 1 / 4,
            own_plan=chance.random() < 1 / 2,
            as_admin=chance.random() < 1 / 3,
            sending=chance.choice(("plain", "once", "twice")),
            match=chance.choice((None, None, None, "right", "stale")),
        )

    @property
    def by(self) -> str:
        """The type of the actor that the events must have."""
        return "admin" if self.as_admin else "user"


@dataclass(frozen=True, slots=True)
class Stage:
    """The server process, its database and its accounts; the last account is the administrator."""

    service: Service
    url: str
    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A POST that was sent with a key, and its response."""

    user: int
    path: str
    body: object
    headers: Mapping[str, str]
    reply: Reply
    at: datetime


async def create_accounts(url: str) -> tuple[Account, ...]:
    """Create the accounts of the run."""
    hasher = Argon2PasswordHasher()
    password_hash = await hasher.hash(PASSWORD)
    hasher.close()
    async with population(url) as database:
        roles = [Role.USER] * USERS + [Role.ADMIN]
        return tuple([await database.account(role, password_hash) for role in roles])


async def clear(url: str, accounts: Sequence[Account], sessions_from: datetime) -> None:
    """Delete everything but the accounts with their first sessions; a user has at most 20."""
    first = [sha256(account.token.encode()).digest() for account in accounts]
    async with population(url) as database:
        await database.execute(
            "SET session_replication_role = replica",  # what is written once may not be removed otherwise
            "TRUNCATE subscriptions, subscription_spans, subscription_count_changes, trials, idempotency_keys,"
            " plans, plan_revisions, test_clock, login_throttle",
            "DELETE FROM event_log WHERE type LIKE ANY ('{subscription.%,plan.%,session.%,test_clock.%}')",
            "RESET session_replication_role",
        )
        await database.rows("DELETE FROM sessions WHERE token_digest <> ALL ($1::bytea[])", first)
        await database.rows("UPDATE sessions SET created_at = $1, last_seen_at = $1", sessions_from)


class PlatformMachine(RuleBasedStateMachine):
    """One run, from an empty platform at some instant."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.browsers = [Browser(stage.service.port, account.token) for account in stage.accounts]
        self.model = Platform(len(stage.accounts) + 1, STARTS[0])  # and the administrator that the service made
        self.sent: list[Request] = []
        self.keys = 0
        self.steps = 0
        self.acted = 0

    def teardown(self) -> None:
        for browser in self.browsers:
            browser.__exit__()

    # --- steps --------------------------------------------------------------------------------------------------------

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start: datetime) -> None:
        wait_for(clear(self.stage.url, self.stage.accounts, start))
        self.model.now = start
        reply = self.ask(USERS, "PUT", "/v1/test-clock", {"now": start.isoformat()})
        assert reply.status == 200, reply
        for number, terms in enumerate(OFFERS):
            plan = Plan(f"plan-{number}", [terms])
            self.model.plans.append(plan)
            reply = self.ask(USERS, "POST", "/v1/plans", {"code": plan.code, "name": plan.name, **wire(terms)})
            assert reply.status == 201, reply

    @rule(chance=st.randoms(use_true_random=True))
    def step(self, chance: Random) -> None:
        """Run a random step. One rule chooses by weight, because Hypothesis prefers some of many rules to others."""
        _, name, *choices = chance.choices(STEPS, [step[0] for step in STEPS])[0]
        given = [chance.choice(options) for options in choices]
        manner = Manner.of(chance)
        note(f"{name}({', '.join(map(repr, given))}) {manner}")
        getattr(self, name)(manner, *given)

    def start_trial(self, manner: Manner, number: int) -> None:
        """Start a trial, of a plan that can be tried by a user who can try it, if there is one."""
        manner = self.for_able_user(manner, lambda live: live is None)
        turns = [self.model.plans[(number + turn) % len(OFFERS)] for turn in range(len(OFFERS))]
        able = [] if manner.regardless else [plan for plan in turns if self.model.can_try(manner.user, plan)]
        plan = (able or turns)[0]
        self.post(manner, "trial", {"plan": plan.code}, self.model.start_trial(manner.user, plan, manner.by))

    def activate(self, manner: Manner, number: int, method: str | None) -> None:
        self.pay(self.for_able_user(manner, lambda live: live is None), number, method)

    def convert(self, manner: Manner, number: int, method: str | None) -> None:
        self.pay(self.for_able_user(manner, is_trial), number, method)

    def pay(self, manner: Manner, number: int, method: str | None) -> None:
        plan = self.plan(manner, number)
        verdict = self.model.activate(manner.user, plan, method, manner.by)
        self.post(manner, "activate", {"plan": plan.code, "payment_method": method}, verdict)

    def renew(self, manner: Manner, method: str | None, times: int) -> None:
        manner = self.for_able_user(manner, lambda live: live is not None and live.can_be_renewed)
        body = {"payment_method": method}
        for _ in range(times):
            self.change_live(manner, "renew", body, lambda user: self.model.renew(user, method, manner.by))

    def cancel(self, manner: Manner, at: str) -> None:
        manner = self.for_able_user(manner, lambda live: live is not None)
        self.change_live(manner, "cancel", {"at": at}, lambda user: self.model.cancel(user, at, manner.by))

    def resume(self, manner: Manner) -> None:
        manner = self.for_able_user(manner, lambda live: live is not None and live.scheduled)
        self.change_live(manner, "resume", {}, lambda user: self.model.resume(user, manner.by))

    def for_able_user(self, manner: Manner, can: Callable[[Subscription | None], bool]) -> Manner:
        """Return the manner with the next user for whom the action can succeed."""
        turns = [(manner.user + turn) % USERS for turn in range(USERS)]
        able = [user for user in turns if can(self.model.live(user))]
        return manner if manner.regardless or not able else replace(manner, user=able[0])

    def plan(self, manner: Manner, number: int) -> Plan:
        """Return the plan with this number, or the plan that the user has."""
        live = self.model.live(manner.user)
        return live.plan if live is not None and manner.own_plan else self.model.plans[number]

    def change_live(self, manner: Manner, action: str, body: object, ask: Callable[[int], int | Refusals]) -> None:
        """Change the live subscription, with the right or a stale version if the manner has one."""
        live = self.model.live(manner.user)
        if manner.match is None or live is None:
            self.post(manner, action, body, ask(manner.user))
            return
        version = live.version(self.model.now)
        if manner.match == "right":
            self.post(manner, action, body, ask(manner.user), {"if-match": f'"{version}"'})
        else:
            stale = {"if-match": f'"{version + 1}", "{version - 1}"'}
            self.post(manner, action, body, {(412, "precondition-failed")}, stale)

    def revise(self, manner: Manner, number: int, change: Mapping[str, Any], name: str) -> None:
        """Change a plan; subscriptions of the model keep their revision."""
        plan = self.plan(self.for_able_user(manner, is_trial), number)
        path, seen = f"/v1/plans/{plan.code}", {"if-match": f'"{plan.version}"'}
        before = plan.version
        plan.revise(changed(plan.terms, change))
        plan.call(name)
        self.check_plan(self.ask(USERS, "PATCH", path, {**change, "name": name}, seen), plan)
        if plan.version != before:
            late = self.ask(USERS, "PATCH", path, {"name": "Late"}, seen)
            assert (late.status, late.slug) == (412, "precondition-failed")

    def archive_or_restore(self, manner: Manner, number: int, archived: bool) -> None:  # noqa: FBT001 - drawn
        plan = self.plan(self.for_able_user(manner, is_trial), number)
        plan.set_archived(archived=archived)
        path = f"/v1/plans/{plan.code}/{'archive' if archived else 'restore'}"
        self.check_plan(self.ask(USERS, "POST", path, {}), plan)

    def wait(self, _: Manner, lapse: timedelta, sweep: str) -> None:
        self.set_clock(self.model.now + lapse, sweep)

    def go_to_an_end(self, _: Manner, before: timedelta, sweep: str) -> None:
        """Set the clock to the end of a subscription, or to this time before it."""
        now = self.model.now
        ends = [one.ends_at for one in self.model.subscriptions if one.ends_at is not None and one.ends_at > now]
        self.set_clock(max(now, min(ends, default=now) - before), sweep)

    def set_clock(self, now: datetime, sweep: str) -> None:
        """Set the clock; the expiry job runs later, before the response, or as `smp expire`."""
        self.model.now = now
        at_once = sweep == "at once"
        reply = self.ask(USERS, "PUT", "/v1/test-clock", {"now": now.isoformat(), "sweep": at_once})
        assert reply.status == 200, reply
        if sweep == "late":
            return
        ended = self.model.run_expiry_job()
        if sweep == "by command" and ended:
            printed = command(self.stage.service.environ, "expire", "--json")
            assert (printed["expired"], printed["cancelled"], printed["failed"]) == (
                ended["expired"],
                ended["cancelled"],
                [],
            )

    def repeat(self, _: Manner, back: int) -> None:
        """Repeat an earlier request with its key within a day; it gets the first response and has no effect."""
        for request in self.sent[-1 - back :][:1]:
            if self.model.now - request.at <= DAY:
                self.check_repeated(request)

    # --- after every step ---------------------------------------------------------------------------------------------

    @invariant()
    def everything_equals_the_model(self) -> None:
        if not self.model.plans:
            return
        self.steps += 1
        self.check_all_subscriptions()
        self.check_filtered(*map(Random(self.steps).choice, FILTERS))  # noqa: S311 - no secret
        for user in {self.acted, self.steps % USERS}:
            self.check_user(user)
        self.check_statistics()

    def check_all_subscriptions(self) -> None:
        """Compare all subscriptions, newest first: the status at this instant, before and after the expiry job."""
        items = self.pages(USERS, "/v1/subscriptions?limit=100")
        expected = self.model.listed()
        assert [item["id"] for item in items] == [one.id for one in expected]
        for item, one in zip(items, expected, strict=True):
            assert item["user_id"] == str(self.stage.accounts[one.user].id)
            assert read(item) == one.document(self.model.now)

    def check_filtered(
        self,
        statuses: Sequence[str],
        number: int | None,
        user: int | None,
        after: timedelta | None,
        before: timedelta | None,
        limit: int,
    ) -> None:
        """Compare the administrators' list with some filter, page by page."""
        plan = None if number is None else self.model.plans[number]
        ends_after, ends_before = (
            None if distance is None else self.model.now + distance for distance in (after, before)
        )
        query = [f"status={status}" for status in statuses] + [f"limit={limit}"]
        query += [] if plan is None else [f"plan={plan.code}"]
        query += [] if user is None else [f"user_id={self.stage.accounts[user].id}"]
        query += [] if ends_after is None else [f"ends_after={ends_after:%Y-%m-%dT%H:%M:%S.%fZ}"]
        query += [] if ends_before is None else [f"ends_before={ends_before:%Y-%m-%dT%H:%M:%S.%fZ}"]
        found = [item["id"] for item in self.pages(USERS, f"/v1/subscriptions?{'&'.join(query)}")]
        assert found == [one.id for one in self.model.listed(statuses, plan, user, ends_after, ends_before)]

    def check_user(self, user: int) -> None:
        """Check that at most one subscription is live, spans do not overlap, and only a live one gives access."""
        who, base = self.seen_by(user)
        items = self.pages(who, f"{base}/subscriptions?limit=100")
        mine = self.model.listed(user=user)
        assert [item["id"] for item in items] == [one.id for one in mine]
        documents = [read(item) for item in items]
        assert sum(document["status"] in LIVE for document in documents) <= 1
        for later, earlier in pairwise(documents):
            assert earlier["ended_at"] <= later["starts_at"]
        self.check_current(user, who, base)
        for feature in ("export", "seats"):
            given = self.ask(who, "GET", f"{base}/access/{feature}").document
            given["until"] = instant(given["until"])
            assert given == self.model.access(user, feature)
        if mine:
            self.check_events(who, mine[(self.steps // 2) % len(mine)] if self.steps % 2 else mine[0])

    def check_current(self, user: int, who: int, base: str) -> None:
        """Check the live subscription and its version in the ETag, or that there is none."""
        live, reply = self.model.live(user), self.ask(who, "GET", f"{base}/subscription")
        if live is None:
            assert (reply.status, reply.slug) == (404, "no-live-subscription")
        else:
            assert (reply.status, reply.document["id"]) == (200, live.id)
            assert version_in(reply.headers["etag"]) == live.version(self.model.now)

    def check_events(self, who: int, one: Subscription) -> None:
        """Check that each transition has one event, and that replaying them gives the status at every instant."""
        events = self.pages(who, f"/v1/subscriptions/{one.id}/events?limit=100")
        recorded = [(event["type"], instant(event["occurred_at"]), event["actor"]["type"]) for event in events]
        assert recorded == one.events
        assert [event["version"] for event in events] == list(range(1, len(events) + 1))
        assert replayed(events, self.model.now) == one.status(self.model.now)
        for number, (_, at, _) in enumerate(one.events):
            if number + 1 == len(one.events) or at < one.events[number + 1][1]:
                assert replayed(events, at) == events[number]["data"]["status"]

    def check_statistics(self) -> None:
        given = self.ask(USERS, "GET", "/v1/statistics").document
        assert instant(given.pop("as_of")) == self.model.now
        given["by_plan"] = [row for row in given["by_plan"] if row["trial"] or row["active"]]
        given["mrr"] = [row for row in given["mrr"] if row["amount"]]
        expected = self.model.statistics()
        expected["mrr"] = [row for row in expected["mrr"] if row["amount"]]
        assert given == expected

    # --- requests -----------------------------------------------------------------------------------------------------

    def post(
        self,
        manner: Manner,
        action: str,
        body: object,
        verdict: int | Refusals,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Send the request and compare the response; a repeat with its key has no effect."""
        self.acted = manner.user
        user_id = self.stage.accounts[manner.user].id
        who, base = (USERS, f"/v1/users/{user_id}") if manner.as_admin else (manner.user, "/v1/me")
        path = f"{base}/subscription/{action}"
        if manner.sending != "plain":
            self.keys += 1
            headers = {**headers, "idempotency-key": f"key-{self.keys}"}
        reply = self.ask(who, "POST", path, body, headers)
        assert not reply.is_replayed
        if isinstance(verdict, int):
            assert reply.status == verdict, reply
            self.check_changed(manner.user, reply)
        else:
            assert (reply.status, reply.slug) in verdict, reply
        if manner.sending != "plain" and reply.status in {200, 201, 402}:
            self.sent.append(Request(who, path, body, headers, reply, self.model.now))
            if manner.sending == "twice":
                self.check_repeated(self.sent[-1])

    def check_changed(self, user: int, reply: Reply) -> None:
        """Check that the response to a change is the present subscription; store the id of a new one."""
        one = self.model.newest(user)
        assert one is not None
        document = reply.document
        if reply.status == 201:
            assert reply.headers["location"] == f"/v1/subscriptions/{document['id']}"
            one.id = document["id"]
        assert document["id"] == one.id
        assert read(document) == one.document(self.model.now)
        assert version_in(reply.headers["etag"]) == len(one.events)

    def check_repeated(self, request: Request) -> None:
        again = self.ask(request.user, "POST", request.path, request.body, request.headers)
        assert again.is_replayed
        assert (again.status, again.body) == (request.reply.status, request.reply.body)

    def check_plan(self, reply: Reply, plan: Plan) -> None:
        assert reply.status == 200, reply
        assert reply.headers["etag"] == f'"{plan.version}"'
        document = reply.document
        assert (document["revision"], document["version"]) == (len(plan.revisions), plan.version)
        assert document["status"] == ("archived" if plan.archived else "active")
        assert {name: document[name] for name in wire(plan.terms)} == wire(plan.terms)
        assert document["name"] == plan.name

    def seen_by(self, user: int) -> tuple[int, str]:
        """Return the user or the administrator, alternating."""
        if self.steps % 3:
            return user, "/v1/me"
        return USERS, f"/v1/users/{self.stage.accounts[user].id}"

    def ask(
        self, who: int, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send the request as this account, which signs in again if the clock has ended its session."""
        browser = self.browsers[who]
        reply = browser.ask(method, path, body, headers or {})
        if reply.status == 401:
            browser.log_in(self.stage.accounts[who].email, PASSWORD)
            reply = browser.ask(method, path, body, headers or {})
        assert reply.status < 500 or reply.slug == "payment-unavailable", reply
        return reply

    def pages(self, who: int, path: str) -> list[Any]:
        """Return all items of the list."""
        items, cursor = [], ""
        while True:
            page = self.ask(who, "GET", f"{path}{cursor}").document
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"


def is_trial(live: Subscription | None) -> bool:
    return live is not None and live.anchor is None


def wire(terms: Terms) -> dict[str, Any]:
    """Return the terms in the form of the API."""
    return {
        "price": {"amount": terms.amount, "currency": terms.currency},
        "period": terms.period,
        "trial_period": terms.trial_period,
        "features": dict(terms.features),
    }


def changed(terms: Terms, change: Mapping[str, Any]) -> Terms:
    """Return the terms after a merge patch (RFC 7396)."""
    merged = {**terms.features, **change.get("features", {})}
    return replace(
        terms,
        amount=change.get("price", {}).get("amount", terms.amount),
        period=change.get("period", terms.period),
        trial_period=change.get("trial_period", terms.trial_period),
        features={key: value for key, value in merged.items() if value is not None},
    )


def read(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a subscription of the API in the form of the model."""
    plan = document["plan"]
    times = {name: instant(value) for name, value in document.items() if name.endswith("_at")}
    known = {"plan": (plan["code"], plan["name"], plan["revision"])}
    return {name: value for name, value in document.items() if name not in {"id", "user_id"}} | times | known


def version_in(tag: str) -> int:
    """Return the version in the tag of a subscription, which has a digest of the shown plan after it."""
    return int(tag.strip('"').partition(".")[0])


def instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    assert text.endswith("Z")
    return datetime.fromisoformat(text).astimezone(UTC)


def command(environ: Mapping[str, str], *arguments: str) -> Any:  # noqa: ANN401 - a JSON document
    """Run a command of the program inside this process, because starting a process each time takes too long."""
    out, err = io.StringIO(), io.StringIO()
    with logging_restored(), redirect_stdout(out), redirect_stderr(err):
        code = run_program(ProcessServices(environ), arguments)
    assert code == 0, err.getvalue()
    return json.loads(out.getvalue())


@contextmanager
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


@pytest.fixture
def stage(environ: dict[str, str], database_url: str, folder: Path) -> Iterator[Stage]:
    """Run a server with a test clock, on which sessions last for a year."""
    settings_ = {
        "SMP_DATABASE_URL": database_url,
        "SMP_TEST_CLOCK": "1",
        **{f"SMP_{role}SESSION_{end}_S": A_YEAR_S for role in ("", "ADMIN_") for end in ("IDLE", "ABSOLUTE")},
    }
    with serving({**environ, **settings_}, folder) as service:
        yield Stage(service, database_url, wait_for(create_accounts(database_url)))
        checked = run(service.environ, "doctor")
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_response_equals_the_model_for_any_order_of_requests(stage: Stage) -> None:
    effort = EFFORT[os.environ.get("HYPOTHESIS_PROFILE", "quick")]
    run_state_machine_as_test(
        lambda: PlatformMachine(stage),  # type: ignore[arg-type] # as its documentation has it: anything that makes one
        settings=settings(effort, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True),
    )
