"""Money, features, emails, refusals and revenue: rules that hold for every value."""

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
def test_money_is_exact_or_refused(amount: int, text: str) -> None:
    """No amount is bent into range, and no code mended."""
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
def test_features_are_the_same_where_their_json_is(one: Features, other: Features) -> None:
    """What a caller would read decides, so that a switch is never a limit."""
    read = [json.dumps(dict(values), sort_keys=True) for values in (one, other)]
    assert same(one, other) == (read[0] == read[1])
    assert same(one, features(dict(one)))


@given(st.dictionaries(any_texts, st.booleans() | st.integers() | any_texts, max_size=4))
def test_any_features_are_kept_or_refused(values: Mapping[str, FeatureValue]) -> None:
    """A refusal points at a bad key or value; what is kept is what was given, in the order of the keys."""
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
    """Whether no plan can promise the value."""
    return not is_storable(value) if isinstance(value, str) else not 0 <= value < 2**53


@given(any_texts)
def test_texts_that_can_be_kept(text: str) -> None:
    """Exactly those that UTF-8 can carry; and that have no NUL, for PostgreSQL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        assert not is_unicode(text)
        assert not is_storable(text)
    else:
        assert is_unicode(text)
        assert is_storable(text) == ("\0" not in text)


@given(any_texts | st.builds("{}@{}".format, any_texts, any_texts) | st.emails())
def test_any_text_is_an_email_or_refused(text: str) -> None:
    """What is taken can be kept, seen and folded; its key is the key of all its spellings, and of itself."""
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
    for spelling in (text.lower(), text.casefold(), email.key):
        assert email_key(spelling) == email.key


@given(st.from_regex(r"[a-z0-9.+]{1,10}@[a-z]{1,10}\.[a-z]{2,3}", fullmatch=True), st.data())
def test_case_makes_no_other_address(text: str, data: st.DataObject) -> None:
    """Each letter large or small: one key; and the key of a beginning begins the key."""
    spelled = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in text)
    assert email_key(spelled) == email_key(text)
    assert email_key(text).startswith(email_key(spelled[: data.draw(st.integers(0, len(text)))]))


@given(st.text())
def test_pointer_tokens_can_be_read_back(key: str) -> None:
    """By the rule of RFC 6901, and they hold no separator."""
    token = pointer_token(key)
    assert "/" not in token
    assert token.replace("~1", "/").replace("~0", "~") == key


@given(st.lists(st.none() | st.text(st.characters(codec="ascii"), max_size=3), max_size=8))
def test_all_refusals_are_told(pointers: Sequence[str | None]) -> None:
    """Whichever checks refuse, in their order."""

    def check(pointer: str | None) -> None:
        if pointer is not None:
            raise ValidationError(pointer, "no")

    wanted = [pointer for pointer in pointers if pointer is not None]
    _, refusal = attempt(lambda: collect_errors(*(partial(check, pointer) for pointer in pointers)))
    if refusal is not None:
        assert [told.pointer for told in (refusal, *refusal.others)] == wanted
        seen = refusal.at("/x")
        assert [told.pointer for told in (seen, *seen.others)] == [f"/x{pointer}" for pointer in wanted]
    else:
        assert wanted == []


revenue_parts = st.builds(RevisionRevenue, money, periods(), st.integers(1, 1_000_000))


@given(st.lists(revenue_parts, max_size=8), st.randoms(use_true_random=False))
def test_revenue_is_the_exact_sum_rounded_once(parts: list[RevisionRevenue], random: Random) -> None:
    """For each currency, in whatever order the parts come."""
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
    wanted = [Revenue(half_up(exact[currency]), currency) for currency in currencies]
    assert monthly_recurring_revenue(parts) == wanted
    random.shuffle(parts)
    assert monthly_recurring_revenue(parts) == wanted


@given(revenue_parts, st.data())
def test_revenue_does_not_depend_on_how_subscribers_are_grouped(part: RevisionRevenue, data: st.DataObject) -> None:
    """Counted together or apart they are worth the same."""
    assume(part.active > 1)
    some = data.draw(st.integers(1, part.active - 1))
    parts = [RevisionRevenue(part.price, part.period, count) for count in (some, part.active - some)]
    assert monthly_recurring_revenue(parts) == monthly_recurring_revenue([part])
