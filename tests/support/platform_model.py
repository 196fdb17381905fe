"""The product in plain Python, by its description and without its code: the expected value of each response.

The expected errors are a set, because any of them is right if there are several reasons.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any, Final

Refusals = set[tuple[int, str]]
Event = tuple[str, datetime, str]
"""Type, instant, and what kind of actor."""

LIVE: Final = ("trial", "active")
ENDS: Final = ("subscription.expired", "subscription.cancelled")
UNITS: Final[Mapping[str, timedelta]] = {"D": timedelta(days=1), "W": timedelta(weeks=1), "H": timedelta(hours=1)}


def end_of(period: str, anchor: datetime, number: int) -> datetime:
    """Return the end of the ``number``-th period from the anchor; a missing day becomes the last of the month."""
    count, unit = int(period.strip("PTDWMYH")) * number, period[-1]
    if unit in UNITS:
        return anchor + count * UNITS[unit]
    years, month = divmod(anchor.month - 1 + count * (12 if unit == "Y" else 1), 12)
    last = monthrange(anchor.year + years, month + 1)[1]
    return anchor.replace(year=anchor.year + years, month=month + 1, day=min(anchor.day, last))


def months_in(period: str) -> Fraction:
    """Return the length in months of 30.4375 days."""
    if period[-1] in "MY":
        return Fraction(int(period[1:-1]) * (12 if period[-1] == "Y" else 1))
    hours = int(period.strip("PTDWH")) * UNITS[period[-1]] / UNITS["H"]
    return Fraction(int(hours), 24) / Fraction("30.4375")


@dataclass(frozen=True)
class Terms:
    """One revision of a plan."""

    amount: int
    currency: str
    period: str | None
    trial_period: str | None
    features: Mapping[str, object]


@dataclass
class Plan:
    """A plan with all its revisions; each event is one version."""

    code: str
    revisions: list[Terms]
    name: str = "A plan"
    archived: bool = False
    version: int = 1

    @property
    def terms(self) -> Terms:
        return self.revisions[-1]

    def revise(self, terms: Terms) -> None:
        if terms != self.terms:
            self.revisions.append(terms)
            self.version += 1

    def call(self, name: str) -> None:
        self.version += name != self.name
        self.name = name

    def set_archived(self, *, archived: bool) -> None:
        self.version += archived != self.archived
        self.archived = archived


@dataclass
class Subscription:
    """One user's subscription to one revision: its start, its anchor and paid periods, and its cancellation."""

    user: int
    plan: Plan
    revision: int
    starts_at: datetime
    trial_ends_at: datetime | None = None
    anchor: datetime | None = None
    paid: int = 0
    scheduled: bool = False
    stopped_at: datetime | None = None
    events: list[Event] = field(default_factory=list)
    id: str = ""

    @property
    def terms(self) -> Terms:
        return self.plan.revisions[self.revision - 1]

    @property
    def ends_at(self) -> datetime | None:
        if self.anchor is None:
            return self.trial_ends_at
        return None if self.terms.period is None else end_of(self.terms.period, self.anchor, self.paid)

    @property
    def can_be_renewed(self) -> bool:
        """Whether the subscription can be renewed while it is live."""
        return self.anchor is not None and self.ends_at is not None and not self.scheduled

    def ended_at(self, now: datetime) -> datetime | None:
        """Return the end of the subscription if it is over."""
        over = self.ends_at if self.stopped_at is None else self.stopped_at
        return over if over is not None and over <= now else None

    def status(self, now: datetime) -> str:
        if self.ended_at(now) is None:
            return "trial" if self.anchor is None else "active"
        return "cancelled" if self.scheduled or self.stopped_at is not None else "expired"

    def is_overdue(self, now: datetime) -> bool:
        """Return whether it is over and the expiry job has not stored its end yet."""
        return self.ended_at(now) is not None and self.events[-1][0] not in ENDS

    def apply_expiry(self, now: datetime) -> bool:
        """End the subscription if it is overdue, with its event; return whether it was."""
        ended_at = self.ended_at(now)
        if ended_at is None or not self.is_overdue(now):
            return False
        self.events.append((f"subscription.{self.status(now)}", ended_at, "system"))
        return True

    def version(self, now: datetime) -> int:
        """Return the number of events, including the expected event of an overdue subscription."""
        return len(self.events) + self.is_overdue(now)

    def document(self, now: datetime) -> dict[str, Any]:
        """Return the expected view, with instants instead of texts and without the ids that the platform chooses."""
        status, ended_at = self.status(now), self.ended_at(now)
        return {
            "plan": (self.plan.code, self.plan.name, self.revision),
            "status": status,
            "price": {"amount": self.terms.amount, "currency": self.terms.currency},
            "features": self.terms.features,
            "trial_ends_at": self.trial_ends_at,
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "cancel_at": self.ends_at if self.scheduled else None,
            "cancelled_at": ended_at if status == "cancelled" else None,
            "ended_at": ended_at,
            "version": self.version(now),
            "created_at": self.starts_at,
        }


@dataclass
class Platform:
    """The plans, the subscriptions of all users in the order of their creation, and the clock."""

    users: int
    now: datetime
    plans: list[Plan] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    tried: set[tuple[int, str]] = field(default_factory=set)

    def newest(self, user: int) -> Subscription | None:
        return next((one for one in reversed(self.subscriptions) if one.user == user), None)

    def live(self, user: int) -> Subscription | None:
        newest = self.newest(user)
        return newest if newest is not None and newest.status(self.now) in LIVE else None

    def run_expiry_job(self) -> Counter[str]:
        """End all overdue subscriptions; return how many, by status."""
        return Counter(one.status(self.now) for one in self.subscriptions if one.apply_expiry(self.now))

    def can_try(self, user: int, plan: Plan) -> bool:
        return plan.terms.trial_period is not None and not plan.archived and (user, plan.code) not in self.tried

    # Actions return the expected errors, or the status of the success; then the model has changed.

    def start_trial(self, user: int, plan: Plan, by: str) -> int | Refusals:
        refusals: Refusals = set()
        if self.live(user):
            refusals.add((409, "live-subscription-exists"))
        if plan.archived:
            refusals.add((409, "plan-archived"))
        if plan.terms.trial_period is None:
            refusals.add((409, "plan-has-no-trial"))
        if (user, plan.code) in self.tried:
            refusals.add((409, "trial-already-used"))
        if refusals or plan.terms.trial_period is None:
            return refusals
        self.tried.add((user, plan.code))
        trial = self._begin(user, plan, by, "trial_started")
        trial.trial_ends_at = end_of(plan.terms.trial_period, self.now, 1)
        return 201

    def activate(self, user: int, plan: Plan, method: str | None, by: str) -> int | Refusals:
        live = self.live(user)
        own = live is not None and live.plan is plan
        terms = live.terms if live is not None and own else plan.terms
        refusals = self._charge(terms, method)
        if live is not None and live.status(self.now) == "active":
            refusals.add((409, "live-subscription-exists"))
        if plan.archived and not own:
            refusals.add((409, "plan-archived"))
        if refusals:
            return refusals
        if live is None:
            subscription = self._begin(user, plan, by, "activated")
        else:
            subscription = live
            if not own:
                live.plan, live.revision = plan, len(plan.revisions)
            live.trial_ends_at, live.scheduled = self.now, False
            live.events.append(("subscription.converted", self.now, by))
        subscription.anchor, subscription.paid = self.now, 1
        return 201 if live is None else 200

    def renew(self, user: int, method: str | None, by: str) -> int | Refusals:
        live = self.live(user)
        if live is None:
            return {(404, "no-live-subscription")}
        refusals = self._charge(live.terms, method)
        if not live.can_be_renewed:
            refusals.add((409, "illegal-transition"))
        if refusals:
            return refusals
        live.paid += 1
        live.events.append(("subscription.renewed", self.now, by))
        return 200

    def cancel(self, user: int, at: str, by: str) -> int | Refusals:
        live = self.live(user)
        if live is None:
            return {(404, "no-live-subscription")}
        if at == "now":
            live.stopped_at, live.scheduled = self.now, False
            live.events.append(("subscription.cancelled", self.now, by))
        elif live.ends_at is None:
            return {(409, "illegal-transition")}
        elif not live.scheduled:
            live.scheduled = True
            live.events.append(("subscription.cancel_scheduled", self.now, by))
        return 200

    def resume(self, user: int, by: str) -> int | Refusals:
        live = self.live(user)
        if live is None:
            return {(404, "no-live-subscription")}
        if not live.scheduled:
            return {(409, "illegal-transition")}
        live.scheduled = False
        live.events.append(("subscription.resumed", self.now, by))
        return 200

    def _begin(self, user: int, plan: Plan, by: str, event: str) -> Subscription:
        newest = self.newest(user)
        if newest is not None:
            newest.apply_expiry(self.now)
        begun = Subscription(user, plan, len(plan.revisions), self.now)
        begun.events.append((f"subscription.{event}", self.now, by))
        self.subscriptions.append(begun)
        return begun

    @staticmethod
    def _charge(terms: Terms, method: str | None) -> Refusals:
        errors = {"sim_declined": (402, "payment-declined"), "sim_down": (503, "payment-unavailable")}
        return {errors[method]} if terms.amount and method in errors else set()

    # Queries return the expected responses.

    def access(self, user: int, feature: str) -> dict[str, Any]:
        newest, live = self.newest(user), self.live(user)
        status = None if newest is None else newest.status(self.now)
        value = None if live is None else live.terms.features.get(feature)
        allowed = value is not None and value is not False and value != 0
        denied = "no_subscription" if status is None else f"subscription_{status}"
        return {
            "feature": feature,
            "allowed": allowed,
            "value": value,
            "reason": "granted" if allowed else denied if live is None else "feature_not_in_plan",
            "status": status,
            "plan": None if newest is None else newest.plan.code,
            "until": None if live is None else live.ends_at,
        }

    def listed(
        self,
        statuses: Collection[str] = (),
        plan: Plan | None = None,
        user: int | None = None,
        ends_after: datetime | None = None,
        ends_before: datetime | None = None,
    ) -> list[Subscription]:
        """Return the administrators' list: newest first, or soonest end first with a filter by end."""
        found = [
            one
            for one in reversed(self.subscriptions)
            if (not statuses or one.status(self.now) in statuses)
            and (plan is None or one.plan is plan)
            and (user is None or one.user == user)
        ]
        if ends_after is None and ends_before is None:
            return found
        ends = [(one.ends_at, one.id, one) for one in found if one.ends_at is not None]
        within = [
            (end, id_, one)
            for end, id_, one in ends
            if (ends_after is None or end >= ends_after) and (ends_before is None or end < ends_before)
        ]
        return [one for _, _, one in sorted(within, key=lambda found: found[:2])]

    def statistics(self) -> dict[str, Any]:
        """Return the statistics without ``as_of``, and without plans and currencies that have no values."""
        statuses = Counter(one.status(self.now) for one in self.subscriptions)
        live = [one for one in self.subscriptions if one.status(self.now) in LIVE]
        by_plan: Counter[tuple[str, str]] = Counter((one.plan.code, one.status(self.now)) for one in live)
        revenue: dict[str, Fraction] = defaultdict(Fraction)
        for one in live:
            if one.anchor is not None and one.terms.period is not None and one.terms.amount:
                revenue[one.terms.currency] += one.terms.amount / months_in(one.terms.period)
        trials = [one for one in self.subscriptions if one.events[0][0] == "subscription.trial_started"]
        running = sum(one.status(self.now) == "trial" for one in trials)
        converted = sum(one.anchor is not None and one.terms.amount > 0 for one in trials)
        lost = len(trials) - running - converted
        week = self.now + timedelta(days=7)
        return {
            "users": self.users,
            "subscriptions": {status: statuses[status] for status in ("trial", "active", "expired", "cancelled")},
            "by_plan": [
                {"plan": code, "trial": by_plan[code, "trial"], "active": by_plan[code, "active"]}
                for code in sorted({code for code, _ in by_plan})
            ],
            "mrr": [
                {"amount": floor(sum_ + Fraction(1, 2)), "currency": code} for code, sum_ in sorted(revenue.items())
            ],
            "trials": {
                "started": len(trials),
                "running": running,
                "converted": converted,
                "lost": lost,
                "conversion_rate": converted / (converted + lost) if converted + lost else None,
            },
            "ending_within_7_days": sum(one.ends_at is not None and one.ends_at < week for one in live),
        }


def replayed(events: Sequence[Mapping[str, Any]], instant: datetime) -> str:
    """Return the status at the instant, from the data of the last event until then and the calendar."""
    data = [event for event in events if datetime.fromisoformat(event["occurred_at"]) <= instant][-1]["data"]
    if data["status"] in LIVE and data["ends_at"] is not None and instant >= datetime.fromisoformat(data["ends_at"]):
        return "expired" if data["cancel_at"] is None else "cancelled"
    return str(data["status"])
