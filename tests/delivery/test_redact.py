from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tracklayer.delivery.redact import REDACTED, Redactor
from tracklayer.model.delivery import Failure, Response

SECRET = 'p@ss/w"rd+<é>'

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=30)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(SECRET)[1:-1].replace("/", "\\/"),
        json.dumps(json.dumps(SECRET))[3:-3],  # the body in JSON, as a text in JSON
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        html.escape(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_taken_out_in_every_form_in_which_receivers_echo(form: str) -> None:
    assert Redactor([SECRET]).text(f"you sent {form}!") == f"you sent {REDACTED}!"


@given(before=texts, secret=secrets, after=texts)
def test_no_text_holds_a_secret_afterwards(before: str, secret: str, after: str) -> None:
    assume("•" not in secret)  # or the dots themselves could bring it back
    assert secret not in Redactor([secret]).text(before + secret + after)


@given(text=texts, others=st.lists(secrets, max_size=3))
def test_a_text_without_secrets_stays_as_it_is(text: str, others: list[str]) -> None:
    redactor = Redactor([other + "never in the text, which is short" for other in others])
    assert redactor.text(text) == text


def test_a_longer_secret_is_not_cut_short_by_one_that_it_contains() -> None:
    assert Redactor(["token", "token-and-more"]).text("token-and-more, token") == f"{REDACTED}, {REDACTED}"


def test_a_secret_of_three_characters_does_not_blank_out_every_text() -> None:
    assert Redactor(["abc"]).text("abc abcd") == "abc abcd"


def test_an_answer_is_cleaned_in_body_and_headers() -> None:
    answer = Response(status=400, headers=(("x-echo", f"Bearer {SECRET}"), ("x-other", "1")), body=SECRET.encode())
    cleaned = Redactor([SECRET]).result(answer)
    assert isinstance(cleaned, Response)
    assert cleaned.headers == (("x-echo", f"Bearer {REDACTED}"), ("x-other", "1"))
    assert cleaned.body == REDACTED.encode()


def test_bytes_that_are_no_text_stay_as_they_are_around_a_secret() -> None:
    cleaned = Redactor([SECRET]).result(Response(status=400, body=b"\xff\xfe" + SECRET.encode() + b"\x80"))
    assert isinstance(cleaned, Response)
    assert cleaned.body == b"\xff\xfe" + REDACTED.encode() + b"\x80"


def test_an_answer_without_a_secret_is_the_same_object() -> None:
    answer = Response(status=200, body=b"ok")
    assert Redactor([SECRET]).result(answer) is answer
    assert Redactor([]).result(answer) is answer


def test_what_is_left_of_a_secret_where_an_answer_was_cut_off_is_taken_out_as_well() -> None:
    answer = Response(status=400, body=f"you sent {SECRET[:9]}".encode(), truncated=True)
    cleaned = Redactor([SECRET]).result(answer)
    assert isinstance(cleaned, Response)
    assert cleaned.body == f"you sent {REDACTED}".encode()


def test_a_failure_names_no_secret() -> None:
    failure = Failure(kind="connect", detail=f"no connection to {SECRET}")
    assert Redactor([SECRET]).result(failure) == Failure(kind="connect", detail=f"no connection to {REDACTED}")
