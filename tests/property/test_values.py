"""Money, features, emails, validation errors and revenue: rules that hold for every value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial
from random import Random

from hypothesis import assume, example, given
from hypothesis import strategies as st

from smp.application.queries.get_statistics import monthly_recurring_revenue
from smp.application.queries.views import Revenue, RevisionRevenue
from smp.domain.errors import ValidationError, collect_errors
from smp.domain.features import Features, FeatureValue, features, grants, is_feature_key, pointer_token, same
from smp.domain.money import AMOUNT_MAX, Money
from smp.domain.text import is_storable, is_unicode
from smp.domain.user.user import EMAIL_MAX, Email, email_key
from tests.property.strategies import attempt, feature_maps, half_up, money, periods

any_texts = st.text(st.characters(), max_size=12)
"""With lone surrogates, controls and NUL among the characters."""


@given(st.integers() | st.integers(-2, 2) | st.integers(AMOUNT_MAX - 2, AMOUNT_MAX + 2), st.text(max_size=4))
def test_money_is_stored_exactly_or_rejected(amount: int, text: str) -> None:
    """No amount and no currency is corrected."""
    kept, refusal = attempt(lambda: Money(amount, text))
    if refusal is not None:
        assert refusal.pointer == ("/currency" if 0 <= amount <= AMOUNT_MAX else "/amount")
    else:
        assert kept is not None
        assert (kept.amount, kept.currency) == (amount, text)
        assert kept == Money(amount, text)
        assert hash(kept) == hash(Money(amount, text))
        assert kept.is_free == (amount == 0)
        assert json.loads(json.dumps(float(amount))) == amount


@given(feature_maps, feature_maps)
@example(features({"seats": 1}), features({"seats": True}))
@example(features({"seats": 0}), features({"seats": False}))
def test_features_are_equal_exactly_if_their_json_is_equal(one: Features, other: Features) -> None:
    """A switch therefore never equals a limit."""
    read = [json.dumps(dict(values), sort_keys=True) for values in (one, other)]
    assert same(one, other) == (read[0] == read[1])
    assert same(one, features(dict(one)))


@given(st.dictionaries(any_texts, st.booleans() | st.integers() | any_texts, max_size=4))
def test_features_are_stored_unchanged_or_rejected(values: Mapping[str, FeatureValue]) -> None:
    """The error points at a bad key or value. Accepted features are in the order of their keys."""
    kept, refusal = attempt(lambda: features(values))
    if kept is None or refusal is not None:
        assert refusal is not None
        bad = {f"/{pointer_token(key)}" for key, value in values.items() if not is_feature_key(key) or is_bad(value)}
        assert refusal.pointer in bad
    else:
        assert list(kept) == sorted(values)
        assert all(kept[key] is values[key] for key in values)
        assert {key for key in kept if grants(kept[key])} == {
            key for key, value in values.items() if value is True or isinstance(value, str) or value > 0
        }


def is_bad(value: FeatureValue) -> bool:
    """Return whether the value is not allowed in a plan."""
    return not is_storable(value) if isinstance(value, str) else not 0 <= value < 2**53


@given(any_texts)
def test_a_text_is_storable_if_it_is_valid_unicode_without_nul(text: str) -> None:
    """UTF-8 cannot encode the others, and PostgreSQL stores no NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        assert not is_unicode(text)
        assert not is_storable(text)
    else:
        assert is_unicode(text)
        assert is_storable(text) == ("\0" not in text)


@given(any_texts | st.builds("{}@{}".format, any_texts, any_texts) | st.emails())
def test_a_text_is_a_storable_email_or_rejected(text: str) -> None:
    """All spellings of an email, and its key, have the same key."""
    email, refusal = attempt(lambda: Email(text))
    if email is None or refusal is not None:
        assert refusal is not None
        assert refusal.pointer == "/email"
        return
    assert is_storable(email.text)
    assert len(email.text) <= EMAIL_MAX
    assert email.text.isprintable()
    assert email.text.count("@") == 1
    assert Email(email.text) == email
    assert email_key(email.key) == email.key
    local, _, domain = text.partition("@")
    for spelling in (f"{local.casefold()}@{domain}", f"{local.lower()}@{domain}", email.key):
        assert email_key(spelling) == email.key


@given(st.from_regex(r"[a-z0-9.+]{1,10}@[a-z]{1,10}\.[a-z]{2,3}", fullmatch=True), st.data())
def test_emails_that_differ_in_case_have_the_same_key(text: str, data: st.DataObject) -> None:
    """A prefix of the email has a prefix of the key."""
    spelled = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in text)
    assert email_key(spelled) == email_key(text)
    assert email_key(text).startswith(email_key(spelled[: data.draw(st.integers(0, len(text)))]))


@given(st.text())
def test_a_pointer_token_is_decoded_to_its_key(key: str) -> None:
    """By the rule of RFC 6901; a token contains no separator."""
    token = pointer_token(key)
    assert "/" not in token
    assert token.replace("~1", "/").replace("~0", "~") == key


@given(st.lists(st.none() | st.text(st.characters(codec="ascii"), max_size=3), max_size=8))
def test_all_bad_values_are_reported_at_once_in_the_order_of_the_checks(pointers: Sequence[str | None]) -> None:
    def check(pointer: str | None) -> None:
        if pointer is not None:
            raise ValidationError(pointer, "no")

    expected = [pointer for pointer in pointers if pointer is not None]
    _, refusal = attempt(lambda: collect_errors(*(partial(check, pointer) for pointer in pointers)))
    if refusal is not None:
        assert [error.pointer for error in (refusal, *refusal.others)] == expected
        seen = refusal.at("/x")
        assert [error.pointer for error in (seen, *seen.others)] == [f"/x{pointer}" for pointer in expected]
    else:
        assert expected == []


revenue_parts = st.builds(RevisionRevenue, money, periods(), st.integers(1, 1_000_000))


@given(st.lists(revenue_parts, max_size=8), st.randoms(use_true_random=False))
def test_revenue_is_the_exact_sum_rounded_once(parts: list[RevisionRevenue], random: Random) -> None:
    """One sum for each currency, in any order of the parts."""
    currencies = sorted({part.price.currency for part in parts})
    exact = {
        currency: sum(
            (
                Fraction(part.price.amount * part.active) / part.period.months
                for part in parts
                if part.price.currency == currency
            ),
            Fraction(0),
        )
        for currency in currencies
    }
    expected = [Revenue(half_up(exact[currency]), currency) for currency in currencies]
    assert monthly_recurring_revenue(parts) == expected
    random.shuffle(parts)
    assert monthly_recurring_revenue(parts) == expected


@given(revenue_parts, st.data())
def test_revenue_does_not_depend_on_how_subscribers_are_grouped(part: RevisionRevenue, data: st.DataObject) -> None:
    assume(part.active > 1)
    some = data.draw(st.integers(1, part.active - 1))
    parts = [RevisionRevenue(part.price, part.period, count) for count in (some, part.active - some)]
    assert monthly_recurring_revenue(parts) == monthly_recurring_revenue([part])
