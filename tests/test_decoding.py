"""Bodies into typed values: exact numbers, and errors whose pointer names the place."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklayer.decoding import KEYS_TRIED, check_keys, decode_as, decode_object
from tracklayer.errors import Invalid, Malformed
from tracklayer.model.event import encode_json


class Leaf(msgspec.Struct, forbid_unknown_fields=True):
    """The inner shape."""

    size: int
    ratio: float = 0.0


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    """What the tests decode into."""

    name: str = ""
    leaf: Leaf | None = None
    leaves: list[Leaf] = []
    counts: dict[str, int] = {}
    trees: list[dict[str, Leaf]] = []
    grid: list[list[int]] = []
    free: Any = None


def refused(raw: bytes) -> tuple[str, str | None]:
    """The code and the pointer of what `raw` is refused with."""
    with pytest.raises(Invalid) as caught:
        decode_as(raw, Shape)
    return caught.value.code, caught.value.pointer


@pytest.mark.parametrize(
    "raw, code, pointer",
    [
        (b"[]", "wrong_type", ""),
        (b'{"name": 1}', "wrong_type", "/name"),
        (b'{"leaf": {"size": "x"}}', "wrong_type", "/leaf/size"),
        (b'{"leaf": {}}', "missing_field", "/leaf/size"),
        (b'{"leaf": {"size": 1, "colour": 2}}', "unknown_field", "/leaf/colour"),
        (b'{"leaves": [{"size": 1}, {"size": null}]}', "wrong_type", "/leaves/1/size"),
        (b'{"leaves": [{"size": 1}, {}]}', "missing_field", "/leaves/1/size"),
        (b'{"grid": [[1], [2, "x"]]}', "wrong_type", "/grid/1/1"),
        (b'{"counts": {"a": 1, "b/c": "x", "d": 2}}', "wrong_type", "/counts/b~1c"),
        (b'{"trees": [{}, {"a": {"size": 1}, "b": {"size": 1, "ratio": "x"}}]}', "wrong_type", "/trees/1/b/ratio"),
        (b'{"trees": [{"a": {"size": 1}, "b": {}}]}', "missing_field", "/trees/0/b/size"),
        (b'{"other": 1}', "unknown_field", "/other"),
        (b'{"a/b~c": 1}', "unknown_field", "/a~1b~0c"),
        (b'{"leaf": {"size": 1, "ratio": 1e400}}', "wrong_type", "/leaf/ratio"),
    ],
)
def test_a_value_of_another_shape_is_refused_with_its_place(raw: bytes, code: str, pointer: str) -> None:
    assert refused(raw) == (code, pointer)


class Color(enum.Enum):
    """One of two."""

    RED = "red"
    BLUE = "blue"


class Choices(msgspec.Struct):
    """Values of which there are few."""

    word: Literal["yes", "no"] | None = None
    colors: dict[str, list[Color]] = {}


@pytest.mark.parametrize(
    "given, expected, pointer",
    [
        ({"word": "maybe"}, "'maybe' is none of the values: expected no or yes", "/word"),
        ({"colors": {"a": ["red", "green"]}}, "'green' is none of the values: expected red or blue", "/colors/a/1"),
    ],
)
def test_of_a_value_that_is_none_of_the_few_the_error_says_which_there_are(
    given: dict[str, Any], expected: str, pointer: str
) -> None:
    with pytest.raises(Invalid) as refused:
        decode_as(encode_json(given), Choices)
    assert (refused.value.detail, refused.value.pointer) == (expected, pointer)


def test_of_very_many_keys_the_wrong_one_is_not_looked_for() -> None:
    many = ", ".join(f'"k{number}": 1' for number in range(KEYS_TRIED))
    assert refused(f'{{"counts": {{{many}, "last": "x"}}}}'.encode()) == ("wrong_type", "/counts")


def test_the_error_says_what_was_expected_and_what_came() -> None:
    with pytest.raises(Invalid, match=r"^Expected `int`, got `str`$"):
        decode_as(b'{"leaf": {"size": "x"}}', Shape)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{} {}",
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b'{"free": "\\ud800"}',
        b'{"free": NaN}',
        b'{"free": 1e9999999999999999999999}',
        b'{"free": ' + b"[" * 100_000,
        b'{"free": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
@pytest.mark.parametrize("kind", [Shape, dict[str, Any]], ids=["typed", "free"])
def test_what_is_no_usable_json_is_malformed(raw: bytes, kind: type) -> None:
    with pytest.raises(Malformed) as caught:
        decode_as(raw, kind)
    assert caught.value.pointer == ""


def test_numbers_with_a_fraction_keep_every_digit_where_any_json_may_stand() -> None:
    raw = b'{"free":{"value":149.90,"tiny":[0.10000000000000000000000001,1E+2]}}'
    for free in (decode_as(raw, Shape).free, decode_object(raw)["free"]):
        assert free == {"value": Decimal("149.90"), "tiny": [Decimal("0.10000000000000000000000001"), Decimal("1E+2")]}
    assert encode_json(decode_object(raw)) == raw


def test_a_field_that_asks_for_a_float_gets_one() -> None:
    assert decode_as(b'{"leaf": {"size": 1, "ratio": 0.1}}', Shape).leaf == Leaf(size=1, ratio=0.1)


@pytest.mark.parametrize("raw, got", [(b"[]", "array"), (b'"x"', "str"), (b"null", "null"), (b"1", "int")])
def test_an_object_is_asked_for_and_anything_else_is_named(raw: bytes, got: str) -> None:
    with pytest.raises(Invalid, match=f"got `{got}`") as caught:
        decode_object(raw)
    assert (caught.value.code, caught.value.pointer) == ("wrong_type", "")


@pytest.mark.parametrize(
    "raw, pointer",
    [
        (b'{"name": "a", "name": "b"}', "/name"),
        (b'{"a": [{}, {"b/c": {"d": 1, "\\u0064": 1}}]}', "/a/1/b~1c/d"),
        (b'{"a": {"b": 1, "b": 2}, "c": {"b": 1}, "a": 1}', "/a"),
        (b'[{"a": 1}, {"a": 1}, {"": 1, "": 1}]', "/2/"),
    ],
)
def test_a_key_that_stands_twice_in_one_object_is_refused_with_its_place(raw: bytes, pointer: str) -> None:
    with pytest.raises(Invalid, match="stands twice in one object") as caught:
        check_keys(raw)
    assert (caught.value.code, caught.value.pointer) == ("duplicate_key", pointer)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=st.dictionaries(st.text(), _JSON, max_size=4))
@settings(max_examples=40)
def test_any_object_is_read_back_as_it_was_written(value: dict[str, Any]) -> None:
    raw = encode_json(value)
    assert decode_object(raw) == value
    check_keys(raw)


def test_what_is_no_utf_8_is_refused_where_keys_are_looked_at() -> None:
    with pytest.raises(Malformed):
        check_keys(b'{"a": "\xff"}')


@given(raw=st.binary() | st.text().map(str.encode))
def test_whatever_comes_is_decoded_or_refused(raw: bytes) -> None:
    try:
        assert isinstance(decode_as(raw, Shape), Shape)
        check_keys(raw)
    except (Malformed, Invalid) as error:
        assert error.pointer is not None
