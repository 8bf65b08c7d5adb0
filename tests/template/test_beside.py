"""`destination` and `delivery` stand beside the event: they are named like its fields, and are none of them."""

from __future__ import annotations

from typing import Any

import pytest

from tracklayer.model.event import decode_json
from tracklayer.template import Escape, compile_template

EVENT: dict[str, Any] = {"event_name": "purchase", "properties": {"items": [{"destination": {"name": "of the item"}}]}}
SCOPE: dict[str, Any] = {
    **EVENT,
    "secrets": {"token": "s3cr3t"},
    "destination": {"name": "shop", "version": 3},
    "delivery": {"id": "dlv_1", "attempt": 2, "test": False},
}


def text(template: str) -> str:
    return compile_template(template, escape=Escape.TEXT).render(SCOPE).text


@pytest.mark.parametrize("whole", ["this", ".", "@root"])
def test_the_context_as_a_whole_is_the_event(whole: str) -> None:
    assert decode_json(text(f"{{{{json {whole}}}}}")) == EVENT
    assert text(f"{{{{#each {whole}}}}}{{{{@key}}}},{{{{/each}}}}") == "event_name,properties,"
    assert text(f"{{{{json (lookup {whole} 'destination')}}}}") == ""


@pytest.mark.parametrize(
    "template",
    [
        "{{destination.name}}",
        "{{this.destination.name}}",
        "{{./destination/name}}",
        "{{@root.destination.name}}",
        "{{#with destination}}{{name}}{{/with}}",
        "{{#each properties.items}}{{../destination.name}}{{/each}}",
        "{{#each properties.items}}{{@root.destination.name}}{{/each}}",
        "{{#with this}}{{destination.name}}{{/with}}",
        "{{#with this as |event|}}{{event.destination.name}}{{/with}}",
        "{{lookup destination 'name'}}",
        "{{default destination.name 'x'}}",
    ],
)
def test_it_is_found_by_its_name_wherever_the_event_is(template: str) -> None:
    assert text(template) == "shop"


def test_it_is_found_beside_the_whole_too() -> None:
    assert text("{{length (json this)}} {{delivery.id}} {{delivery.attempt}} {{destination.version}}").endswith(
        " dlv_1 2 3"
    )


def test_an_items_own_field_of_that_name_is_the_items() -> None:
    assert text("{{#each properties.items}}{{destination.name}}{{/each}}") == "of the item"
    assert text("{{#each properties.items as |delivery|}}{{delivery.destination.name}}{{/each}}") == "of the item"
