"""Reading files of destinations: what is taken, what is refused, and that a refusal says where."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.destination_file import Draft, FileError, parse_destinations
from tracklayer.model.event import Json


def parse(text: str, name: str = "d.yaml", **environ: str) -> list[Draft]:
    return parse_destinations(text, name, environ)


def body(text: str, **environ: str) -> dict[str, Json]:
    """The one destination of a YAML file."""
    (draft,) = parse(text, **environ)
    return draft.body


def refusal(text: str, name: str = "d.yaml", **environ: str) -> str:
    with pytest.raises(FileError) as caught:
        parse(text, name, **environ)
    return caught.value.detail


def test_yaml_and_json_say_the_same() -> None:
    value = {"destinations": [{"name": "a", "transport": {"url": "https://x.example/é"}, "retry": {"attempts": 3}}]}
    from_yaml = parse(yaml.safe_dump(value, allow_unicode=True))
    from_json = parse(json.dumps(value, indent="\t"), "d.json")
    assert [draft.body for draft in from_yaml] == [draft.body for draft in from_json] == value["destinations"]


def test_yaml_is_read_as_json_has_it() -> None:
    read = body(
        """
        destinations:
          - name: a
            retry: {statuses: {409: dead}, jitter: 0.10, attempts: 3}
            filter: {platform: [no, on, 1:30, 010, 2026-05-05, .inf, 0x1f, "true"], x: true, y: null, z: ~}
            template: |
              {"type": "{{event_name}}"}
        """
    )
    assert read == {
        "name": "a",
        "retry": {"statuses": {"409": "dead"}, "jitter": Decimal("0.10"), "attempts": 3},
        "filter": {
            "platform": ["no", "on", "1:30", "010", "2026-05-05", ".inf", "0x1f", "true"],
            "x": True,
            "y": None,
            "z": None,
        },
        "template": '{"type": "{{event_name}}"}\n',
    }
    assert isinstance(read["retry"]["attempts"], int)


def test_anchors_and_merges_spare_repetition() -> None:
    first, second = parse(
        """
        destinations:
          - &base
            name: one
            transport: &to {url: "https://x.example", timeout: 5s}
          - <<: *base
            name: two
            transport: {<<: *to, timeout: 9s}
        """
    )
    assert first.body["transport"] == {"url": "https://x.example", "timeout": "5s"}
    assert second.body == {"name": "two", "transport": {"url": "https://x.example", "timeout": "9s"}}


def test_environment_variables_stand_for_texts_and_are_remembered() -> None:
    text = (
        'destinations: [{name: a, signing: {secret: "${S}"}, transport: {headers: {A: "x ${T} ${T}"}, url: "$${S}"}}]'
    )
    (draft,) = parse(text, S="s3cret", T="é${S}")
    assert draft.body["signing"]["secret"] == "s3cret"
    assert draft.body["transport"] == {"headers": {"A": "x é${S} é${S}"}, "url": "${S}"}
    assert draft.from_environment == {"signing.secret", "transport.headers.A"}


def test_a_place_is_the_line_and_column_of_the_value_or_of_what_surrounds_it() -> None:
    (draft,) = parse("destinations:\n  - name: a\n    transport:\n      url: x\n    filter:\n      a/b: 1\n")
    assert draft.locate("") == "d.yaml:2:5"
    assert draft.locate("/transport/url") == "d.yaml:4:12"
    assert draft.locate("/transport/headers/X") == "d.yaml:4:7"
    assert draft.locate("/filter/a~1b") == "d.yaml:6:12"
    (draft,) = parse('{"destinations": [{"name": "a"}]}', "d.json")
    assert draft.locate("/transport/url") == "d.json /destinations/0/transport/url"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("destinations: [", "d.yaml:1:16: while parsing a flow node"),
        ("destinations:\n\t- a", "d.yaml:2:1: while scanning for the next token, found character '\\t'"),
        ("destinations: !!python/object:os.system {}", "d.yaml: expected an object with a list named destinations"),
        ("", "d.yaml: expected an object with a list named destinations"),
        ("- name: a", "d.yaml: expected an object with a list named destinations"),
        ("destinations: {}", "d.yaml: expected an object with a list named destinations"),
        ("destinations: []\nversion: 1", "d.yaml:2:10: 'version' is not known"),
        ("destinations:\n  - 7", "d.yaml:2:5: expected an object with a name"),
        ("destinations:\n  - transport: {}", "d.yaml:2:5: expected an object with a name"),
        ("destinations:\n  - name: a\n    name: b", "d.yaml:3:5: the key 'name' stands twice in one object"),
        ("destinations:\n  - name: a\n    [b]: c", "d.yaml:3:5: a key must be a text"),
        ("destinations:\n  - name: a\n  - name: a", "d.yaml:3:5: the name 'a' stands already at d.yaml:2:5"),
        (
            "destinations:\n  - name: a\n    template: ${NO_SUCH}",
            "d.yaml:3:15: the environment variable NO_SUCH is not set (at destinations.0.template)",
        ),
        (
            "destinations:\n  - name: a\n    template: ${a-b}",
            "d.yaml:3:15: ${ is not followed by a NAME and }: write $${ for a literal ${ (at destinations.0.template)",
        ),
        ("destinations: &a [*a]", "d.yaml: maximum recursion depth exceeded"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_place(text: str, expected: str) -> None:
    assert refusal(text).startswith(expected)


@pytest.mark.parametrize(
    "text, expected",
    [
        ('{"destinations": [\n}', "d.json:2:1: Expecting value"),
        ('{"destinations": [{"name": NaN}]}', "d.json: NaN is not a value in JSON"),
        ('{"destinations": [{"name": "a", "name": "b"}]}', "d.json: the key 'name' stands twice in one object"),
        ('{"destinations": [{"name": "a"}, {"name": "a"}]}', "d.json /destinations/1: the name 'a' stands already at"),
        ('{"destinations": [{"name": "${X}"}]}', "d.json /destinations/0/name: the environment variable X is not set"),
        ("[" * 100_000, "d.json: maximum recursion depth exceeded"),
    ],
)
def test_json_that_cannot_be_used_is_refused_with_the_place(text: str, expected: str) -> None:
    assert refusal(text, "d.json").startswith(expected)


def test_a_twin_that_only_the_environment_shows_is_refused() -> None:
    assert "the name 'a' stands already" in refusal("destinations: [{name: a}, {name: '${N}'}]", N="a")


@given(st.text())
def test_any_text_is_either_read_or_refused(text: str) -> None:
    for name in ("d.yaml", "d.json"):
        try:
            parse(text, name)
        except FileError as error:
            assert error.detail.startswith(name)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_characters="$", codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=5), VALUES, max_size=4), st.text(max_size=5).filter(lambda name: "$" not in name)
)
def test_what_is_written_as_json_is_read_back(fields: dict[str, Json], name: str) -> None:
    value = {"destinations": [{**fields, "name": name}]}
    assert [draft.body for draft in parse(json.dumps(value), "d.json")] == value["destinations"]
