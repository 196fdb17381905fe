"""Which texts are emails, and which emails are the same."""

from __future__ import annotations

import pytest

from smp.domain.errors import ValidationError
from smp.domain.user.user import EMAIL_MAX, Email, email_key


@pytest.mark.parametrize(
    "text",
    [
        "ada@example.com",
        "Ada.Lovelace+smp@Example.COM",
        "a@b",
        "a@1.example",
        "user@sub.domain.example.org",
        "o'brien_-=!#$%&*/?^`{|}~@example.com",
        "анна@почта.рф",
        "josé@example.com",
        "用户@例子.广告",
        "x" * 64 + "@example.com",
        "a@" + "b" * 63 + ".example",
        "a@xn--80ak6aa92e.com",
        "a@a-b.c-d",
        "a@" + ".".join(["b" * 62] * 4),
    ],
)
def test_an_address_in_any_script_is_accepted(text: str) -> None:
    assert Email(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "a", "a@", "@b", "a@@b", "a@b@c", "a b@c", "a@b c", " a@b", "a@b ", "a@b\n", "\ta@b"),
        *(".a@b", "a.@b", "a..b@c", "a@.b", "a@b.", "a@b..c", "a@-b", "a@b-", "a@b.-c", "a@_b", "a@b_"),
        *('"a"@b', "a,b@c", "a;b@c", "a:b@c", "<a@b>", "a(b)@c", "a[b]@c", "a\\b@c", "a@[127.0.0.1]", "a@b:25"),
        *("a\x00@b", "a@b\x00", "a\x7f@b", "a\x1b[31m@b", "a\x85@b", "a\x9b@b", "a\u2028@b", "a\u3000@b"),
        *("a\u200b@b", "a\u202e@b", "a\ufeff@b", "a\u00ad@b", "a\ud800@b", "\udfff@b", "a@\ud800b", "a\ue000@b"),
        "x" * 65 + "@example.com",
        "a@" + "b" * 64,
        "a@" + ".".join(["b" * 63] * 4),
        "x" * 100_000 + "@b",
    ],
)
def test_a_malformed_too_long_or_invisible_address_is_rejected(text: str) -> None:
    """Invisible means a character that is not printable."""
    with pytest.raises(ValidationError) as refusal:
        Email(text)
    assert refusal.value.pointer == "/email"


@pytest.mark.parametrize(
    ("text", "person"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada+Shop@Example.com", "ada@example.com"),
        ("ada+a+b@example.com", "ada@example.com"),
        ("ada+@example.com", "ada@example.com"),
        ("+ada@example.com", "@example.com"),
        ("a.da+1@MÜNCHEN.example", "a.da@xn--mnchen-3ya.example"),
    ],
)
def test_emails_that_differ_only_by_a_tag_are_of_one_person(text: str, person: str) -> None:
    assert Email(text).person == person


def test_an_email_has_at_most_254_characters() -> None:
    domain = ".".join(["b" * 63, "b" * 63, "b" * 61])
    longest = "x" * (EMAIL_MAX - len(domain) - 1) + "@" + domain
    assert len(Email(longest).text) == 254
    with pytest.raises(ValidationError):
        Email("x" + longest)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@example.com", "ADA@EXAMPLE.COM"),
        ("Ada@Example.com", "aDA@eXAMPLE.COM"),
        ("анна@почта.рф", "анна@почта.рф".upper()),
        ("jose\u0301@example.com", "jos\u00e9@example.com"),
        ("JOSE\u0301@example.com", "jos\u00e9@example.com"),
        ("straße@example.com", "STRASSE@example.com"),
        ("νίκος@example.com", "ΝΊΚΟΣ@example.com"),
        ("\u212a@example.com", "k@example.com"),
        ("x@münchen.example", "x@xn--mnchen-3ya.example"),
        ("x@MÜNCHEN.example", "X@XN--MNCHEN-3YA.EXAMPLE"),
        ("x@mu\u0308nchen.example", "x@xn--mnchen-3ya.example"),
        ("x@\uff45xample.com", "x@example.com"),
        ("анна@почта.рф", "анна@xn--80a1acny.xn--p1ai"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
        ("x@faß.example", "x@xn--fa-hia.example"),
    ],
)
def test_spellings_that_differ_in_case_or_composition_are_one_email(one: str, other: str) -> None:
    assert Email(one).key == Email(other).key
    assert Email(one) != Email("somebody.else@example.com")


def test_an_email_keeps_the_spelling_of_its_owner() -> None:
    """Only the key is case-folded; the text is normalized (NFC)."""
    email = Email("Jose\u0301@Example.COM")
    assert (email.text, email.key) == ("Jos\u00e9@Example.COM", "jos\u00e9@example.com")


def test_the_key_of_an_email_is_always_computed_from_its_text() -> None:
    """A key that the caller passes is ignored."""
    assert Email("ada@example.com", "eve@example.com").key == "ada@example.com"


@pytest.mark.parametrize("prefix", ["", "\u0391", "\u0391\u03a3", "\u0391\u03a3\u0392", "ασβ@EX"])
def test_a_prefix_of_an_email_gives_a_prefix_of_its_key(prefix: str) -> None:
    """This includes letters that have another form at the end of a word, such as sigma."""
    assert Email("ασβ@example.com").key.startswith(email_key(prefix))


@pytest.mark.parametrize(
    ("prefix", "address"),
    [
        ("x@münchen", "x@münchen.example"),
        ("x@münchen.", "x@münchen.example"),
        ("x@xn--mn", "x@münchen.example"),
        ("x@", "x@münchen.example"),
        ("x@a_b", "x@a_b.example"),
    ],
)
def test_a_prefix_with_whole_labels_gives_a_prefix_of_the_key(prefix: str, address: str) -> None:
    assert Email(address).key.startswith(email_key(prefix))


def test_a_domain_that_has_no_a_labels_keeps_its_own_form() -> None:
    for text in ("x@a_b.example", "x@ab--cd.example", "x@" + "ü" * 62 + ".example", "x@" + "ü" * 100_000):
        assert email_key(text) == text
    assert Email("x@faß.example").key != Email("x@fass.example").key
