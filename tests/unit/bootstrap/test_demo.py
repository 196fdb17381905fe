"""The scenarios of the demo: realistic, complete, and the same every time."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from smp.bootstrap.demo.catalogue import CODE_PREFIX, HISTORY, LANDMARK, Offer, catalogue
from smp.bootstrap.demo.scenarios import Scenario, generate_scenarios
from smp.bootstrap.demo.seeded_random import SeededRandom
from smp.bootstrap.demo.users import email_of
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import Email

NOW: Final = datetime(2026, 11, 23, 9, 30, 0, 123_456, tzinfo=UTC)
COUNT: Final = 1_000


@pytest.fixture(scope="module")
def offers() -> tuple[Offer, ...]:
    return catalogue(NOW, SeededRandom("catalogue"))


@pytest.fixture(scope="module")
def scenarios(offers: tuple[Offer, ...]) -> list[Scenario]:
    return list(generate_scenarios(COUNT, offers, NOW, "a hash"))


@pytest.fixture(scope="module")
def subscriptions(scenarios: list[Scenario]) -> list[Subscription]:
    return [subscription for scenario in scenarios for subscription in scenario.subscriptions]


def trials_of(scenario: Scenario) -> list[Subscription]:
    return [subscription for subscription in scenario.subscriptions if subscription.trial_ends_at is not None]


def test_there_are_several_plans_with_revisions_and_an_archived_one(offers: tuple[Offer, ...]) -> None:
    assert len(offers) >= 5
    assert [offer.plan.code for offer in offers if offer.plan.is_archived] == ["demo-classic"]
    assert all(offer.plan.code.startswith(CODE_PREFIX) for offer in offers)
    assert {offer.plan.code: len(offer.revisions) for offer in offers}[LANDMARK] == 3
    assert any(offer.plan.revision.terms.price.is_free for offer in offers)
    assert any(offer.plan.revision.terms.period is None for offer in offers)


def test_every_step_of_a_plan_has_its_own_event(offers: tuple[Offer, ...]) -> None:
    for offer in offers:
        assert [(step.version, len(step.events)) for step in offer.steps] == [
            (version, 1) for version in range(1, len(offer.steps) + 1)
        ]
        assert [step.events[0].version for step in offer.steps] == [step.version for step in offer.steps]


def test_the_demo_has_users_in_every_state(scenarios: list[Scenario]) -> None:
    newest = [scenario.subscriptions[-1] for scenario in scenarios if scenario.subscriptions]
    states = Counter(subscription.status for subscription in newest)
    assert states[Status.TRIAL] >= 10
    assert states[Status.ACTIVE] >= 200
    assert states[Status.EXPIRED] >= 100
    assert states[Status.CANCELLED] >= 100
    assert any(subscription.is_live and subscription.cancel_at for subscription in newest)
    assert len(scenarios) - len(newest) >= 50


def test_about_half_of_the_trials_are_converted_and_others_expire(scenarios: list[Scenario]) -> None:
    trials = [trial for scenario in scenarios for trial in trials_of(scenario)]
    converted = sum(trial.converted_at is not None for trial in trials)
    assert 0.3 < converted / len(trials) < 0.6
    assert any(trial.converted_at is None and trial.status is Status.EXPIRED for trial in trials)


def test_a_user_has_one_trial_of_each_plan(scenarios: list[Scenario]) -> None:
    for scenario in scenarios:
        plans = [trial.plan_id for trial in trials_of(scenario)]
        assert len(set(plans)) == len(plans)


def test_a_returning_user_had_no_live_subscription(scenarios: list[Scenario]) -> None:
    """Subscriptions of one user neither overlap nor touch."""
    returned = [scenario for scenario in scenarios if len(scenario.subscriptions) > 1]
    assert len(returned) >= 20
    for scenario in returned:
        for earlier, later in zip(scenario.subscriptions, scenario.subscriptions[1:], strict=False):
            assert earlier.ended_at is not None
            assert earlier.ended_at < later.starts_at


def test_the_history_reaches_back_two_years_and_ends_now(scenarios: list[Scenario]) -> None:
    first = min(scenario.user.created_at for scenario in scenarios)
    assert NOW - HISTORY <= first < NOW - HISTORY + timedelta(days=30)
    assert all(scenario.user.created_at <= NOW for scenario in scenarios)
    younger = sum(scenario.user.created_at > NOW - HISTORY / 2 for scenario in scenarios)
    assert younger > COUNT / 2


def test_events_are_in_order_and_not_in_the_future(subscriptions: list[Subscription]) -> None:
    for subscription in subscriptions:
        instants = [event.occurred_at for event in subscription.events]
        assert instants == sorted(instants)
        assert subscription.starts_at == instants[0]
        assert instants[-1] <= NOW
        assert [event.version for event in subscription.events] == list(range(1, subscription.version + 1))


def test_no_subscription_of_the_demo_is_overdue(subscriptions: list[Subscription]) -> None:
    assert not any(subscription.is_overdue(NOW) for subscription in subscriptions)


def test_every_subscription_has_the_revision_of_its_start(
    offers: tuple[Offer, ...], subscriptions: list[Subscription]
) -> None:
    by_plan = {offer.plan.id: offer for offer in offers}
    for subscription in subscriptions:
        offer = by_plan[subscription.plan_id]
        assert offer.revision_at(subscription.starts_at).number == subscription.revision
        assert offer.is_open_at(subscription.starts_at)
    assert len({(subscription.plan_id, subscription.revision) for subscription in subscriptions}) == sum(
        len(offer.revisions) for offer in offers
    )


def test_all_ids_are_unique_and_of_version_7(
    offers: tuple[Offer, ...], scenarios: list[Scenario], subscriptions: list[Subscription]
) -> None:
    ids = [offer.plan.id for offer in offers] + [
        event.id for offer in offers for step in offer.steps for event in step.events
    ]
    ids += [scenario.user.id for scenario in scenarios] + [
        event.id for scenario in scenarios for event in scenario.user.events
    ]
    ids += [s.id for s in subscriptions] + [event.id for s in subscriptions for event in s.events]
    assert len(set(ids)) == len(ids)
    assert {(id_.version, id_.variant) for id_ in ids} == {(7, "specified in RFC 4122")}


def test_an_id_contains_its_instant() -> None:
    assert SeededRandom("x").id_at(NOW).int >> 80 == int(NOW.timestamp() * 1_000)


def test_two_demos_of_one_instant_are_equal(offers: tuple[Offer, ...], scenarios: list[Scenario]) -> None:
    assert catalogue(NOW, SeededRandom("catalogue")) == offers
    assert list(generate_scenarios(50, offers, NOW, "a hash")) == scenarios[:50]


def test_every_user_has_a_valid_unique_email() -> None:
    addresses = [email_of(number) for number in range(10_000)]
    assert len(set(addresses)) == len(addresses)
    assert all(Email(address).key == address for address in addresses[::97])


def test_choices_are_as_frequent_as_their_weights() -> None:
    random = SeededRandom("weights")
    drawn = Counter(random.choose([(1, "rare"), (9, "common"), (0, "never")]) for _ in range(2_000))
    assert 120 < drawn["rare"] < 280
    assert drawn["rare"] + drawn["common"] == 2_000


def test_a_random_instant_is_strictly_between_its_limits() -> None:
    random = SeededRandom("between")
    for gap in (timedelta(milliseconds=1), timedelta(seconds=1), timedelta(days=400)):
        assert all(NOW < random.between(NOW, NOW + gap) < NOW + gap for _ in range(50))
