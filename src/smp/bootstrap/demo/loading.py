"""The writing of the demo data into the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from dishka import AsyncContainer

from smp.adapters.cli.runtime import DemoLogin, DemoOutcome, DemoProgress
from smp.adapters.postgres.bulk_loader import PostgresBulkLoader
from smp.adapters.postgres.pool import PostgresPool
from smp.application.paging import PageRequest
from smp.application.ports.clock import Clock
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.plan_reader import PlanReader
from smp.application.ports.subscription_reader import SubscriptionReader
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.ports.user_reader import UserReader
from smp.application.queries.views import SubscriptionView
from smp.bootstrap.demo.catalogue import LANDMARK, Offer, catalogue
from smp.bootstrap.demo.scenarios import SEED, Scenario, generate_scenarios
from smp.bootstrap.demo.seeded_random import SeededRandom
from smp.bootstrap.demo.users import email_of
from smp.domain.errors import PlanNotFound, UserNotFound
from smp.domain.subscription.lifecycle import LIVE, Status

BATCH: Final = 500
"""Users written at once, with their subscriptions and events: about ten megabytes."""

SHARED_LOGIN: Final = "look-around-in-the-demo"
"""The password of all demo users; it is public, so the demo is refused in production."""

EXAMINED_MAX: Final = 200
"""The most demo users that are looked at for examples."""


async def load_demo(container: AsyncContainer, users: int, progress: DemoProgress) -> DemoOutcome:
    """Load the demo data, unless they are there already.

    Raises:
        EmailTaken, PlanCodeTaken: if an account or a plan of the demo exists already.
        StorageUnavailable: if the database does not answer.
    """
    if await _is_there(await container.get(PlanReader)):
        return DemoOutcome(already_there=True, password=SHARED_LOGIN, logins=await _examples(container))
    now = await (await container.get(Clock)).now()
    password_hash = await (await container.get(PasswordHasher)).hash(SHARED_LOGIN)
    offers = catalogue(now, SeededRandom(SEED))
    scenarios = generate_scenarios(users, offers, now, password_hash)
    outcome = DemoOutcome(already_there=False, password=SHARED_LOGIN, plans=len(offers))
    # Plans come first, because subscriptions refer to them.
    await _save_plans(await container.get(UnitOfWorkFactory), offers)
    outcome = replace(outcome, events=sum(len(step.events) for offer in offers for step in offer.steps))
    loader = PostgresBulkLoader(await container.get(PostgresPool))
    for batch in _batches(scenarios):
        subscriptions = [subscription for scenario in batch for subscription in scenario.subscriptions]
        await loader.load([scenario.user for scenario in batch], subscriptions)
        outcome = _counted(outcome, batch)
        progress(outcome.users)
    return replace(outcome, logins=await _examples(container))


async def _is_there(plans: PlanReader) -> bool:
    try:
        await plans.get(LANDMARK)
    except PlanNotFound:
        return False
    return True


async def _save_plans(unit_of_work: UnitOfWorkFactory, offers: Sequence[Offer]) -> None:
    async with unit_of_work() as work:
        for offer in offers:
            first, *changes = offer.steps
            await work.plans.add(first)
            for changed in changes:
                await work.plans.save(changed)
        await work.commit()


def _batches(scenarios: Iterator[Scenario]) -> Iterator[Sequence[Scenario]]:
    while batch := list(islice(scenarios, BATCH)):
        yield batch


def _counted(outcome: DemoOutcome, batch: Sequence[Scenario]) -> DemoOutcome:
    events = sum(len(scenario.user.events) for scenario in batch)
    events += sum(len(subscription.events) for scenario in batch for subscription in scenario.subscriptions)
    return replace(
        outcome,
        users=outcome.users + len(batch),
        subscriptions=outcome.subscriptions + sum(len(scenario.subscriptions) for scenario in batch),
        events=outcome.events + events,
    )


async def _examples(container: AsyncContainer) -> tuple[DemoLogin, ...]:
    """Return one login for each state that a demo user is in now, in the order of their first appearance."""
    users, subscriptions = await container.get(UserReader), await container.get(SubscriptionReader)
    now = await (await container.get(Clock)).now()
    by_standing: dict[str, DemoLogin] = {}
    for number in range(EXAMINED_MAX):
        try:
            user = await users.get_by_email(email_of(number))
        except UserNotFound:
            break
        history = await subscriptions.history(user.id, PageRequest(1), now)
        standing = _standing(history.items[0] if history.items else None)
        by_standing.setdefault(standing, DemoLogin(user.email, standing))
    return tuple(by_standing.values())


def _standing(newest: SubscriptionView | None) -> str:
    if newest is None:
        return "never subscribed"
    if newest.status not in LIVE:
        return newest.status.value
    scheduled = ", to be cancelled at its end" if newest.cancel_at else ""
    return f"{'trial running' if newest.status is Status.TRIAL else 'active'}{scheduled}"
