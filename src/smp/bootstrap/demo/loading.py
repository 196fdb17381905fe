"""Writing the demonstration into the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from dishka import AsyncContainer

from smp.adapters.cli.runtime import DemoLogin, DemoOutcome, DemoProgress
from smp.adapters.postgres.bulk_loader import PostgresBulkLoader
from smp.adapters.postgres.pool import PostgresPool
from smp.application.ports.clock import Clock
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.plan_reader import PlanReader
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.bootstrap.demo.catalogue import LANDMARK, Offer, catalogue
from smp.bootstrap.demo.scenarios import SEED, Story, stories
from smp.bootstrap.demo.seeded_random import SeededRandom
from smp.bootstrap.demo.users import email_of
from smp.domain.errors import PlanNotFound

BATCH: Final = 500
"""Users written at once, with all that happened to them: some ten megabytes."""

SHARED_LOGIN: Final = "look-around-in-the-demo"
"""The password of all of the demonstration's users: known to everybody, so never in production."""

LOGINS_MAX: Final = 8


async def load_demo(container: AsyncContainer, users: int, progress: DemoProgress) -> DemoOutcome:
    """Make the data, or leave those that are there.

    Raises:
        EmailTaken, PlanCodeTaken: where a part of a demonstration is in the way.
        StorageUnavailable: where the database does not answer.
    """
    if await _is_there(await container.get(PlanReader)):
        logins = tuple(DemoLogin(email_of(number), "a user of the demonstration") for number in range(3))
        return DemoOutcome(already_there=True, password=SHARED_LOGIN, logins=logins)
    now = await (await container.get(Clock)).now()
    password_hash = await (await container.get(PasswordHasher)).hash(SHARED_LOGIN)
    offers = catalogue(now, SeededRandom(SEED))
    told = stories(users, offers, now, password_hash)
    outcome = DemoOutcome(already_there=False, password=SHARED_LOGIN, plans=len(offers))
    # The users first hold nothing: the plans come before them, for subscriptions refer to those.
    await _keep_plans(await container.get(UnitOfWorkFactory), offers)
    outcome = replace(outcome, events=sum(len(step.events) for offer in offers for step in offer.steps))
    loader = PostgresBulkLoader(await container.get(PostgresPool))
    for batch in _batches(told):
        subscriptions = [subscription for story in batch for subscription in story.subscriptions]
        await loader.load([story.user for story in batch], subscriptions)
        outcome = _counted(outcome, batch)
        progress(outcome.users)
    return outcome


async def _is_there(plans: PlanReader) -> bool:
    try:
        await plans.get(LANDMARK)
    except PlanNotFound:
        return False
    return True


async def _keep_plans(unit_of_work: UnitOfWorkFactory, offers: Sequence[Offer]) -> None:
    async with unit_of_work() as work:
        for offer in offers:
            first, *changes = offer.steps
            await work.plans.add(first)
            for changed in changes:
                await work.plans.save(changed)
        await work.commit()


def _batches(told: Iterator[Story]) -> Iterator[Sequence[Story]]:
    while batch := list(islice(told, BATCH)):
        yield batch


def _counted(outcome: DemoOutcome, batch: Sequence[Story]) -> DemoOutcome:
    events = sum(len(story.user.events) for story in batch)
    events += sum(len(subscription.events) for story in batch for subscription in story.subscriptions)
    return replace(
        outcome,
        users=outcome.users + len(batch),
        subscriptions=outcome.subscriptions + sum(len(story.subscriptions) for story in batch),
        events=outcome.events + events,
        logins=_with_examples(outcome.logins, batch),
    )


def _with_examples(logins: tuple[DemoLogin, ...], batch: Sequence[Story]) -> tuple[DemoLogin, ...]:
    """One login for each standing, as they come up."""
    by_standing = {login.standing: login for login in logins}
    for story in batch:
        by_standing.setdefault(story.standing, DemoLogin(story.user.email.text, story.standing))
    return tuple(by_standing.values())[:LOGINS_MAX]
