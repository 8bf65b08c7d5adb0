"""A text is an id, a user or a name, in this order, and the answer says which."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.virtual_time import in_virtual_time
from tests.world import running


@pytest.mark.parametrize(
    "text, matched, found",
    [
        ("ord_1", "id", ["ord_1"]),
        (" ord_1 ", "id", ["ord_1"]),
        ("u_1", "user", ["ord_2", "ord_1"]),
        ("ANN@shop.example", "user", ["ord_1"]),
        ("both", "id", ["both"]),
        ("refund_requested", "name", ["both"]),
        ("nothing", "name", []),
        ("  ", None, ["both", "ord_2", "ord_1"]),
        (None, None, ["both", "ord_2", "ord_1"]),
    ],
)
@in_virtual_time
async def test_what_a_text_finds(tmp_path: Path, text: str | None, matched: str | None, found: list[str]) -> None:
    async with running(tmp_path) as world:
        await world.send("ord_1", user_data={"external_id": "u_1", "email": "ann@shop.example"})
        await world.send("ord_2", user_data={"external_id": "u_1"})
        await world.send("both", event_name="refund_requested", user_data={"external_id": "both"})
        page = await world.service.search.events(world.workspace_id, text=text, limit=10)
        assert (page.matched, [each.event.event_id for each in page.events], page.next) == (matched, found, None)


@in_virtual_time
async def test_a_text_goes_with_the_other_filters_and_from_page_to_page(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        for number in range(5):
            await world.send(
                f"ord_{number}", event_name="refund_requested" if number == 3 else "purchase", user_id="u_1"
            )
        search, seen, before = world.service.search, [], None
        while True:
            page = await search.events(
                world.workspace_id, text="u_1", event_name="purchase", test=False, limit=2, before=before
            )
            assert page.matched == "user"
            seen += [each.event.event_id for each in page.events]
            before = page.next
            if before is None:
                break
        assert seen == ["ord_4", "ord_2", "ord_1", "ord_0"]
