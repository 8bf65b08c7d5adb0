"""The helpers, one by one; docs/templates.md shows the everyday uses, here are the edges."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.template import Escape, RenderError, TemplateError, compile_template

SCOPE: dict[str, Any] = {
    "a": "x",
    "n": Decimal("149.90"),
    "zero": 0,
    "t": "a😀b",
    "list": [3, Decimal("1.5"), None, 2],
    "words": ["b", "a", "b"],
    "mixed": ["10", 9, "10.5"],
    "object": {"x": 1, "y": None, "z": {"w": []}, "v": [None, {}]},
    "people": [{"n": "b", "age": 2}, {"n": "a"}, {"n": "b", "age": 1}],
    "time": "2026-01-01T00:30:00.123456789Z",
    "yes": True,
    "land": "DE",
    "nan": Decimal("sNaN"),  # nothing that JSON has
}


def text(expression: str) -> str:
    return compile_template(f"{{{{{expression}}}}}", escape=Escape.TEXT).render(SCOPE).text


CASES = {
    "default a 1": "x",
    "default none 1": "1",
    "default zero 1": "0",
    "default none ''": "",
    "coalesce none '' zero": "0",
    "coalesce none": "",
    "and a zero 1": "0",
    "and a 1 2": "2",
    "or none zero ''": "",
    "or none a": "x",
    "not zero": "true",
    "eq 1 1.0": "true",
    "eq 1 '1'": "false",
    "eq true 1": "false",
    "eq none null": "true",
    "eq zero false": "false",
    "eq list list": "true",
    "eq object object": "true",
    "eq words (split 'b,a,b' ',')": "true",
    "eq words (split 'b,a' ',')": "false",
    "ne object (pick object 'x')": "true",
    "gt 2 10": "false",
    "gt '2' '10'": "true",
    "gt '2' 10": "false",
    "gte 2 2.0": "true",
    "lt none 1": "false",
    "lte 1 none": "false",
    "lte n '149.9'": "true",
    "contains 'abc' 'b'": "true",
    "contains 'a1' 1": "true",
    "contains list 1.50": "true",
    "contains list '2'": "false",
    "contains object 'y'": "true",
    "contains object 1": "false",
    "contains none 'x'": "false",
    "contains a none": "",
    "startsWith none 'x'": "false",
    "startsWith none none": "true",
    "endsWith a 'x'": "true",
    "upper none": "",
    "upper yes": "TRUE",
    "lower n": "149.90",
    "substring t 1 2": "😀",
    "substring t -5 99": "a😀b",
    "substring t 2": "b",
    "substring t 5": "",
    "slice t -1": "b",
    "slice list 1 -1": "1.5,",
    "truncate t 3": "a😀b",
    "truncate t 2": "a…",
    "truncate t 2 end='...'": "..",
    "truncate t 0": "",
    "replace 'aaa' 'aa' 'b'": "ba",
    "length t": "3",
    "length object": "4",
    "length none": "",
    "concat a none 1 yes": "x1true",
    "first list": "3",
    "first list 2": "3,1.5",
    "last list": "2",
    "last list 0": "",
    "first (split 'a' 'b')": "a",
    "sort list": "1.5,2,3,",
    "sort list desc=true": "3,2,1.5,",
    "sort words": "a,b,b",
    "sort mixed": "9,10,10.5",
    "sort mixed desc=true": "10.5,10,9",
    "map (sort people by='age') 'n'": "b,b,a",
    "unique words": "b,a",
    "json (unique people by='n')": '[{"n":"b","age":2},{"n":"a"}]',
    "map people 'age'": "2,,1",
    "join words": "b,a,b",
    "join words ''": "bab",
    "join list ' '": "3 1.5  2",
    "json (pick object 'z' 'x' 'none')": '{"z":{"w":[]},"x":1}',
    "json (omit object 'z' 'v')": '{"x":1,"y":null}',
    "json (merge object none (pick object 'x'))": '{"x":1,"y":null,"z":{"w":[]},"v":[null,{}]}',
    "json (compact object)": '{"x":1}',
    "compact a": "x",
    "number ' 1.50 '": "1.50",
    "number '1e3'": "1E+3",
    "number none": "",
    "add 0.1 0.2": "0.3",
    "add 1 2 3.50": "6.5",
    "add '1e3' 0": "1000",
    "subtract n n": "0",
    "multiply 149.99 100": "14999",
    "multiply '1e40' 1": "1E+40",
    "divide 1 3": "0.3333333333333333333333333333",
    "divide 6 3": "2",
    "round 2.5": "3",
    "round -2.5": "-3",
    "round -0.4": "0",
    "round 1.005 2": "1.01",
    "round n 0": "150",
    "round 7 2": "7.00",
    "abs -0.10": "0.10",
    "date time": "2026-01-01T00:30:00.123456Z",
    "date time 'unix'": "1767227400",
    "date time 'unix_ms'": "1767227400123",
    "date 1767227400": "2026-01-01T00:30:00Z",
    "date 1767227400123": "2026-01-01T00:30:00.123Z",
    "date '2026-01-01'": "2026-01-01T00:00:00Z",
    "date '2026-01-01T02:00:00+02:00'": "2026-01-01T00:00:00Z",
    "date time '%y%m%d %I%p %L %f %j %% %u %e'": "260101 12AM 123 123456 001 % 4 1",
    "date time '%G-W%V %s %B %A %b %a'": "2026-W01 1767227400 January Thursday Jan Thu",
    "date time '%H:%M:%S %z %Z' tz='Asia/Kolkata'": "06:00:00 +0530 IST",
    "date time tz='America/St_Johns'": "2025-12-31T21:00:00.123456-03:30",
    "date none": "",
    "sha256 'a' encoding='base64'": "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=",
    "md5 ''": "d41d8cd98f00b204e9800998ecf8427e",
    "hmac 'a' 'k' algorithm='sha1'": "40e7d441cadb17b07f050341aa23a6820ed81c8b",
    "base64 '>>?'": "Pj4/",
    "base64 '>>?x' url=true": "Pj4_eA",
    "urlencode 'a-b_c.d~e f+ü'": "a-b_c.d~e%20f%2B%C3%BC",
    "email ' A.B@X.org '": "a.b@x.org",
    "email 'A.B+c@googlemail.com' 'google'": "ab+c@googlemail.com",
    "email 'A.B@x.org' 'google'": "a.b@x.org",
    "email 'A.B@gmail.com' 'meta'": "a.b@gmail.com",
    "email 'n/a'": "",
    "email '@x'": "",
    "phone '+1 (555) 123-4567'": "+15551234567",
    "phone '0049 171 1234567' 'tiktok'": "+491711234567",
    "phone '+1 555 123 4567' 'snap'": "15551234567",
    "phone '0171/1234567' 'google' country='+49'": "+491711234567",
    "phone '0171 1234567'": "",
    "phone '+0 171 1234567'": "",
    "phone 'n/a' country='49'": "",
    "phone '+44 (0)20 7946 0958'": "+442079460958",
    "phone '(0171) 123-4567' 'meta' country='DE'": "491711234567",
    "phone '06 6982 1234' country='39'": "+390669821234",  # in Italy the 0 is a part of the number
    "phone '8 912 345-67-89' 'google' country='RU'": "+79123456789",
    "phone '+1 555 123 4567 ext. 89' 'tiktok'": "+15551234567",
    "phone '+1 555 123'": "",
    "phone '0171 1234567' country=land": "+491711234567",
    "phone '+49 171 1234567' country=none": "+491711234567",
    "phone '0171 1234567' country=none": "",
    "phone '0049 171 1234567' country='US'": "+491711234567",
    "lookup list 1": "1.5",
    "lookup object 'nope'": "",
    "lookup none 'x'": "",
}


@pytest.mark.parametrize("expression", CASES)
def test_helper(expression: str) -> None:
    assert text(expression) == CASES[expression]


@pytest.mark.parametrize(
    "expression, problem",
    [
        ("upper", "upper takes 1 value, got 0"),
        ("substring a", "substring takes 2 to 3 values, got 1"),
        ("add 1", "add takes 2 or more values, got 1"),
        ("add 1 'x'", 'add: expected a number, got the text "x"'),
        ("add 1 '1_0'", "add: expected a number"),
        ("add 1 '١'", "add: expected a number"),
        ("add 1 'NaN'", "add: expected a number"),
        ("add 1 null", "add: needs a number, got null"),
        ("truncate a 1.5", "truncate: expected a whole number up to 1048576, got the number 1.5"),
        ("truncate a '1e99'", "truncate: expected a whole number"),
        ("truncate a 1 ende=''", "truncate has no option ende= (its options: end=)"),
        ("sort list desc='yes'", "sort: expected true or false, got the text"),
        ("sort list desc=yes", "sort: expected true or false, written in the template itself"),
        ("date time '%Q'", "date: unknown %Q in a time pattern"),
        ("date time '100%'", "date: unknown % in a time pattern"),
        ("date time 'short'", "date: expected iso, unix, unix_ms or a pattern"),
        ("date time a", "date: expected iso, unix, unix_ms or a pattern, written in the template itself"),
        ("date time tz='Mars/Olympus'", "date: expected a time zone such as Europe/Berlin"),
        ("date time tz='../../etc/passwd'", "date: expected a time zone such as Europe/Berlin"),
        ("date time tz=a", "date: expected a time zone, written in the template itself"),
        ("sha256 a encoding='octal'", "sha256: expected one of hex, base64"),
        ("hmac a 'k' algorithm='crc32'", "hmac: expected one of sha256, sha1, sha512, md5"),
        ("email a 'myspace'", "email: expected one of meta, snap, google, tiktok"),
        ("phone a country='049'", 'phone: expected a country such as "DE", or its calling code such as "49"'),
        ("phone a country='de'", 'phone: expected a country such as "DE", or its calling code such as "49"'),
        ("phone a country='999'", 'phone: expected a country such as "DE", or its calling code such as "49"'),
        ("phone a country='800'", 'phone: expected a country such as "DE", or its calling code such as "49"'),
        ("pick object", "pick takes 2 or more values, got 1"),
        ("join 'x'", 'join: expected a list, got the text "x"'),
        ("contains a null", "contains: needs any value but null, got null"),
    ],
)
def test_a_mistake_that_the_template_shows_is_found_when_it_is_saved(expression: str, problem: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(f"{{{{concat ({expression})}}}}", escape=Escape.TEXT)
    assert problem in caught.value.detail


@pytest.mark.parametrize(
    "expression, problem",
    [
        ("upper list", "upper: expected a text, got a list"),
        ("add a 1", 'add: expected a number, got the text "x"'),
        ("add yes 1", "add: expected a number, got true"),
        ("divide 1 zero", "divide: cannot divide by 0"),
        ("join a", 'join: expected a list, got the text "x"'),
        ("pick list 'a'", "pick: expected an object, got a list"),
        ("length n", "length: expected a text, a list or an object, got the number 149.90"),
        ("gt a 1", 'gt: expected a number, got the text "x"'),
        ("gt list object", "gt: expected two numbers or two texts, got a list and an object"),
        ("contains n 1", "contains: expected a text, a list or an object"),
        ("sort people", "sort: expected numbers or texts, got an object and an object"),
        ("replace a '' 'y'", "replace: expected a text to look for, got an empty one"),
        ("split a ''", "split: expected a separator, got an empty text"),
        ("truncate a -1", "truncate: expected a length of 0 or more, got -1"),
        ("round n 101", "round: expected 0 to 100 digits, got 101"),
        ("add '1e500' '1e-600'", "add: a result of more than 1000 digits"),
        ("add '1e9999999' 0", "add: a result of more than 1000 digits"),
        ("round '1e999' 2", "round: a result of more than 1000 digits"),
        ("eq nan 1", "eq: not a number to calculate with"),
        ("phone '0171 1234567' country=a", 'phone: expected a country such as "DE"'),
        ("date a", 'date: expected a time (RFC 3339, or unix seconds), got the text "x"'),
        ("date yes", "date: expected a time (RFC 3339, or unix seconds), got true"),
        ("date '0001-01-01' tz='America/New_York'", "is not in the years 1 to 9999 in this time zone"),
    ],
)
def test_what_an_event_shows_to_be_wrong_is_an_error_with_its_place(expression: str, problem: str) -> None:
    with pytest.raises(RenderError) as caught:
        text(expression)
    assert problem in caught.value.detail
    assert (caught.value.line, caught.value.column) == (1, 3)


DECIMALS = st.decimals(-(10**30), 10**30, places=9)


@given(left=DECIMALS, right=DECIMALS)
def test_sums_and_products_are_exact(left: Decimal, right: Decimal) -> None:
    template = compile_template("{{add a b}} {{subtract a b}} {{multiply a b}}", escape=Escape.TEXT)
    found = [Fraction(word) for word in template.render({"a": left, "b": right}).text.split(" ")]
    first, second = Fraction(left), Fraction(right)
    assert found == [first + second, first - second, first * second]


@given(value=st.text(st.characters()))
def test_any_text_can_be_hashed_and_encoded(value: str) -> None:
    rendered = compile_template("{{sha256 a}}", escape=Escape.TEXT).render({"a": value}).text
    clean = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)
    assert rendered == hashlib.sha256(clean.encode()).hexdigest()
    compile_template("{{base64 a}}{{urlencode a}}{{md5 a}}{{hmac a a}}", escape=Escape.TEXT).render({"a": value})
