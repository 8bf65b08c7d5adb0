"""The native API's bodies, good, bad and hostile."""

from __future__ import annotations

import json
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.errors import Invalid, Malformed, TooLarge, TrackLayerError
from tracklayer.model.event import Event, Json
from tracklayer.sources.body import MOST_TOKENS, Unreadable, read_batch_json
from tracklayer.sources.native import InputLimits, Rejected, parse_batch, parse_event, read_batch, read_event

NOW = 1_777_977_000.0
LIMITS = InputLimits()
GOOD = b'{"event_name": "purchase"}'


def one(raw: bytes, limits: InputLimits = LIMITS) -> Event:
    return parse_event(raw, now=NOW, new_id=lambda: "made-here", limits=limits)


def parsed(raw: bytes, limits: InputLimits = LIMITS) -> list[Event | Rejected]:
    numbers = count(1)
    return parse_batch(raw, now=NOW, new_id=lambda: f"made-{next(numbers)}", limits=limits)


def batch(raw: bytes, limits: InputLimits = LIMITS) -> list[Event | TrackLayerError]:
    """The items of a batch: an event, or why it is none."""
    return [each.error if isinstance(each, Rejected) else each for each in parsed(raw, limits)]


def test_a_bad_item_is_named_by_its_own_id_where_it_has_one() -> None:
    results = parsed(b'{"events": [{"event_id": "ord_1"}, {"event_id": 7}, {}, "x", {"event_name": "purchase"}]}')
    assert [each.event_id if isinstance(each, Rejected) else "fine" for each in results] == [
        "ord_1",
        None,
        None,
        None,
        "fine",
    ]


def events(*items: bytes) -> bytes:
    return b'{"events": [' + b", ".join(items) + b"]}"


def of_size(size: int, room: bytes = b"") -> bytes:
    """An event whose compact JSON has `size` bytes, with `room` after the colon of its name."""
    empty = b'{"event_name":' + room + b'"purchase","properties":{"text":""}}'
    return empty[:-3] + b"x" * (size + len(room) - len(empty)) + empty[-3:]


# One event


def test_a_body_becomes_an_event() -> None:
    event = one(b'{"event_name": "purchase", "properties": {"value": 149.90}}')
    assert (event.event_id, event.event_name, event.received_at) == (
        "made-here",
        "purchase",
        "2026-05-05T10:30:00.000Z",
    )
    assert str(event.properties["value"]) == "149.90"


def test_an_event_may_be_as_large_as_the_limit_and_not_a_byte_more() -> None:
    limits = InputLimits(event_bytes=100)
    one(of_size(100), limits)
    with pytest.raises(TooLarge) as refused:
        one(of_size(101), limits)
    assert refused.value.detail == "the event has 101 bytes: expected at most 100"
    assert refused.value.pointer == ""


def test_an_event_over_the_limit_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(TooLarge):
        read_event(b"[" * 101, InputLimits(event_bytes=100))


@pytest.mark.parametrize(
    "raw, said",
    [
        (b"", "byte 0"),
        (b'{"event_name": "pur', "byte 19"),
        (b'{"event_name": NaN}', "byte 15"),
        (GOOD + b" {}", "byte 28"),
        (b"\xef\xbb\xbf" + GOOD, "byte 0"),
        (b'{"a": "ok", "event_name": "caf\xe9"}', "not UTF-8 (byte 30)"),
        (b'{"event_name": "\\ud800 alone"}', "surrogate"),
        (b"[" * 5000, "nested too deeply"),
        (b'{"a": 1e99999999999999999999}', "exponent"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "Integer value out of range"),
    ],
)
def test_bytes_that_are_no_json_are_malformed_and_the_place_is_named(raw: bytes, said: str) -> None:
    for parse in (one, batch):
        with pytest.raises(Malformed) as refused:
            parse(raw)
        assert said in refused.value.detail
        assert refused.value.pointer == ""


def test_the_last_of_two_equal_keys_counts() -> None:
    assert one(b'{"event_name": "first", "event_name": "last"}').event_name == "last"


# A batch


def test_a_bad_item_does_not_spoil_the_good_ones() -> None:
    results = batch(events(GOOD, b'{"event_name": 5}', b"[]", GOOD, b'{"event_name": "a", "consent": 1}'))
    assert [result.event_name if isinstance(result, Event) else result.pointer for result in results] == [
        "purchase",
        "/events/1/event_name",
        "/events/2",
        "purchase",
        "/events/4/consent",
    ]
    assert [type(result) for result in results] == [Event, Invalid, Invalid, Event, Invalid]


@pytest.mark.parametrize(
    "bad, said",
    [
        (b'{"event_name": "cut \\ud83d"}', "\\ud83d is half of a surrogate pair, and no character (byte 20)"),
        (
            b'{"event_name": "\\ud83d\\ude00", "x": "\\ude00"}',
            "ude00 is half of a surrogate pair, and no character (byte 37)",
        ),
        (b'{"event_name": "caf\xe9"}', "not UTF-8"),
        (b'{"event_name": "a", "properties": {"value": ' + b"9" * 5_000 + b"}}", "out of range"),
        (b'{"event_name": "a", "properties": {"value": 1e99999999999999999999}}', "exponent"),
        (
            b'{"event_name": "a", "properties": ' + b'{"in": [' * 3_000 + b"1" + b"]}" * 3_000 + b"}",
            "nested too deeply",
        ),
        (b'"\\x, ] }"', "malformed"),
        (b"NaN", "malformed"),
    ],
)
def test_an_item_that_cannot_be_read_does_not_spoil_the_good_ones(bad: bytes, said: str) -> None:
    first, second, last = parsed(events(GOOD, bad, GOOD))
    assert isinstance(first, Event)
    assert isinstance(second, Rejected)
    assert isinstance(last, Event)
    assert said in second.error.detail
    assert (second.error.pointer, second.item.raw) == ("/events/1", bad)


@pytest.mark.parametrize(
    "raw",
    [
        events(GOOD, b'{"event_name": NaN') + b"}",  # the item never ends
        events(GOOD, b'{"event_name": NaN}')[:-2],  # nor the list
        events(GOOD, b""),
        events(GOOD, GOOD) + b",",
        b'{"events": [NaN], "events": [1]}',
        b'{"other": [NaN], "events": [1]}',
        b'{"more": {"events": [NaN]}}',
        b'[{"events": [NaN]}]',
        b'["events" [NaN]]',
        b'{"events", [NaN]}',
        b"]" * 1000,
    ],
)
def test_a_batch_whose_own_brackets_are_broken_is_refused_as_a_whole(raw: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        batch(raw)
    assert refused.value.pointer == ""


@pytest.mark.parametrize(
    "item", [b"[" * MOST_TOKENS + b"]" * MOST_TOKENS, b"NaN," * MOST_TOKENS + b"1", b'"' + b'a\\"' * 300_000]
)
def test_taking_a_hostile_batch_apart_has_an_end(item: bytes) -> None:
    with pytest.raises(Malformed):
        batch(events(item))


def test_a_batch_may_be_empty() -> None:
    assert batch(b'{"events": []}') == []


@pytest.mark.parametrize(
    "raw, pointer, code",
    [
        (b"[]", "", "invalid_type"),
        (b'"events"', "", "invalid_type"),
        (b"{}", "/events", "required"),
        (b'{"events": {}}', "/events", "invalid_type"),
        (b'{"events": null}', "/events", "invalid_type"),
        (b'{"events": [], "a/b": 1}', "/a~1b", "unknown_field"),
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(raw: bytes, pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        batch(raw)
    assert (refused.value.pointer, refused.value.code) == (pointer, code)


def test_a_batch_over_the_count_is_refused_naming_the_count_and_the_limit() -> None:
    limits = InputLimits(batch_events=2)
    assert len(read_batch(events(GOOD, GOOD), limits)) == 2
    with pytest.raises(TooLarge) as refused:
        batch(events(GOOD, GOOD, GOOD), limits)
    assert refused.value.detail == "the batch has 3 events: expected at most 2"
    assert (refused.value.pointer, refused.value.code) == ("/events", "too_many")


def test_an_item_over_the_limit_is_refused_alone() -> None:
    results = batch(events(of_size(100), of_size(101), GOOD), InputLimits(event_bytes=100))
    assert [type(result) for result in results] == [Event, TooLarge, Event]
    assert isinstance(results[1], TooLarge)
    assert results[1].pointer == "/events/1"
    assert results[1].detail == "the event has 101 bytes: expected at most 100"


def test_white_space_between_the_values_of_an_item_does_not_count() -> None:
    assert isinstance(batch(events(of_size(100, room=b" " * 50)), InputLimits(event_bytes=100))[0], Event)


def test_an_item_too_deep_is_refused_alone() -> None:
    deep = b'{"event_name": "a", "properties": ' + b'{"in": ' * 500 + b"1" + b"}" * 501
    results = batch(events(GOOD, deep), InputLimits(event_bytes=100))
    assert isinstance(results[0], Event)
    assert isinstance(results[1], Invalid)
    assert results[1].code == "too_deep"


def test_a_kept_error_holds_no_frame() -> None:
    [refused] = batch(events(b"{}"))
    assert isinstance(refused, Invalid)
    assert refused.__traceback__ is None


# Any bytes at all

JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from([10**4000, "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["event_name", "events", "user_data", "properties", "consent", "email", "event_id", "a/b"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """JSON (with NaN and Infinity, as some writers have it), sometimes cut, sometimes with a byte changed."""
    item = st.dictionaries(st.sampled_from(["event_name", "timestamp", "properties", "x"]), JSON)
    document = draw(JSON | item | st.fixed_dictionaries({"events": JSON | st.lists(item | JSON)}))
    raw = bytearray(json.dumps(document, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass"))
    if draw(st.integers(0, 3)) == 0:
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 3)) == 0 else raw)


def check_place(raw: bytes, refused: TrackLayerError) -> None:
    """The pointer must lead somewhere; that of a missing field, to the object that lacks it."""
    assert refused.pointer is not None
    if isinstance(refused, Malformed) and not refused.pointer:
        return
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in refused.pointer.split("/")[1:]]
    document = read_batch_json(raw, "events")
    for token in tokens[:-1] if refused.code == "required" else tokens:
        document = document[int(token)] if isinstance(document, list) else document[token]
    assert isinstance(document, Unreadable) is isinstance(refused, Malformed)
    if refused.code == "required":
        assert document.get(tokens[-1]) is None


@given(st.binary() | bodies())
def test_any_bytes_become_an_event_or_an_error_with_a_place(raw: bytes) -> None:
    limits = InputLimits(event_bytes=200, batch_events=3)
    try:
        one(raw, limits)
    except (Invalid, Malformed, TooLarge) as refused:
        if not isinstance(refused, TooLarge):
            check_place(raw, refused)


@given(st.binary() | bodies())
def test_any_bytes_become_a_batch_or_an_error_with_a_place(raw: bytes) -> None:
    limits = InputLimits(event_bytes=60, batch_events=3)
    try:
        results = batch(raw, limits)
    except (Invalid, Malformed, TooLarge) as refused:
        check_place(raw, refused)
        return
    for result in results:
        if not isinstance(result, Event):
            assert isinstance(result, (Invalid, Malformed, TooLarge))
            check_place(raw, result)
