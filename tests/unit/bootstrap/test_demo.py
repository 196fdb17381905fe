"""The demonstration's stories: believable, whole, and the same every time."""

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


def test_every_standing_is_there(scenarios: list[Scenario]) -> None:
    standings = Counter(scenario.standing for scenario in scenarios)
    assert standings["trial running"] >= 10
    assert standings["active"] >= 200
    assert standings["active, to be cancelled at its end"] >= 1
    assert standings["expired"] >= 100
    assert standings["cancelled"] >= 100
    assert standings["never subscribed"] >= 50


def test_trials_were_converted_and_lost(scenarios: list[Scenario]) -> None:
    trials = [trial for scenario in scenarios for trial in trials_of(scenario)]
    converted = sum(trial.converted_at is not None for trial in trials)
    assert 0.3 < converted / len(trials) < 0.6
    assert any(trial.converted_at is None and trial.status is Status.EXPIRED for trial in trials)


def test_a_trial_was_used_once_for_each_plan(scenarios: list[Scenario]) -> None:
    for scenario in scenarios:
        plans = [trial.plan_id for trial in trials_of(scenario)]
        assert len(set(plans)) == len(plans)


def test_whoever_came_back_had_gone_before(scenarios: list[Scenario]) -> None:
    """Spans of one user do not touch each other, and at most the last one is live."""
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


def test_every_event_follows_the_one_before_and_none_is_yet_to_come(subscriptions: list[Subscription]) -> None:
    for subscription in subscriptions:
        instants = [event.occurred_at for event in subscription.events]
        assert instants == sorted(instants)
        assert subscription.starts_at == instants[0]
        assert instants[-1] <= NOW
        assert [event.version for event in subscription.events] == list(range(1, subscription.version + 1))


def test_what_is_over_is_written_as_over(subscriptions: list[Subscription]) -> None:
    assert not any(subscription.is_overdue(NOW) for subscription in subscriptions)


def test_everybody_got_the_terms_of_the_day(offers: tuple[Offer, ...], subscriptions: list[Subscription]) -> None:
    by_plan = {offer.plan.id: offer for offer in offers}
    for subscription in subscriptions:
        offer = by_plan[subscription.plan_id]
        assert offer.revision_at(subscription.starts_at).number == subscription.revision
        assert offer.is_open_at(subscription.starts_at)
    assert len({(subscription.plan_id, subscription.revision) for subscription in subscriptions}) == sum(
        len(offer.revisions) for offer in offers
    )


def test_all_ids_are_version_7_and_none_comes_twice(
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


def test_an_id_tells_its_instant() -> None:
    assert SeededRandom("x").id_at(NOW).int >> 80 == int(NOW.timestamp() * 1_000)


def test_two_demonstrations_of_one_instant_are_equal(offers: tuple[Offer, ...], scenarios: list[Scenario]) -> None:
    assert catalogue(NOW, SeededRandom("catalogue")) == offers
    assert list(generate_scenarios(50, offers, NOW, "a hash")) == scenarios[:50]


def test_every_address_is_one_and_its_owners_alone() -> None:
    addresses = [email_of(number) for number in range(10_000)]
    assert len(set(addresses)) == len(addresses)
    assert all(Email(address).key == address for address in addresses[::97])


def test_dice_fall_as_often_as_their_weights_say() -> None:
    dice = SeededRandom("weights")
    drawn = Counter(dice.choose([(1, "rare"), (9, "common"), (0, "never")]) for _ in range(2_000))
    assert 120 < drawn["rare"] < 280
    assert drawn["rare"] + drawn["common"] == 2_000


def test_an_instant_between_two_is_between_them_however_close_they_are() -> None:
    dice = SeededRandom("between")
    for gap in (timedelta(milliseconds=1), timedelta(seconds=1), timedelta(days=400)):
        assert all(NOW < dice.between(NOW, NOW + gap) < NOW + gap for _ in range(50))
