"""A receiver that repeats what it was sent: nothing of a secret comes back, whatever a template made of it."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest

from tests.virtual_time import in_virtual_time
from tests.world import running, status
from tracklayer.catalog import secret_purpose
from tracklayer.errors import Invalid
from tracklayer.model.delivery import DeliveryState, Request, Response

SECRET = "MyVerySecretPassw0rd"
MADE = {
    "base64": '{{base64 (concat "user:" secrets.token)}}',
    "upper": "{{upper secrets.token}}",
    "part": "{{substring secrets.token 0 12}}",
    "hash": "{{sha256 secrets.token}}",
    "plain": "{{secrets.token}}",
}


async def echo(request: Request) -> Response:
    return status(
        404,
        body=b"you said: " + (request.body or b"") + b" \xf0\x9f\x99\x82",
        x_said=request.body.decode()[:60] if request.body else "",
    )


@pytest.mark.parametrize(
    "content_type, template",
    [
        (
            "application/json",
            "{" + ", ".join(f'"{name}": "{made}"' for name, made in MADE.items()) + ', "id": "{{event_id}}"}',
        ),
        (
            "application/x-www-form-urlencoded",
            "&".join(f"{name}={made}" for name, made in MADE.items()) + "&id={{event_id}}",
        ),
        ("text/plain", " ".join(MADE.values()) + " {{event_id}}"),
    ],
)
@in_virtual_time
async def test_nothing_that_was_made_of_a_secret_in_a_body_comes_back(
    tmp_path: Path, content_type: str, template: str
) -> None:
    async with running(tmp_path) as world:
        await world.service.secrets.put(world.workspace_id, "token", SECRET, author="test")
        world.network.script("/d", echo)
        transport = {"headers": {"Content-Type": content_type}}
        await world.destination("d", template=template, transport=transport)
        await world.send("ord_4711")
        await world.all_end()
        sent = (world.network.to("/d")[0].request.body or b"").decode()
        (attempt,) = await world.attempts("ord_4711")
        shown = repr(attempt)
        assert "ord_4711" in shown
        assert SECRET in sent
        for hidden in (SECRET, SECRET.upper(), SECRET[:12], base64.b64encode(f"user:{SECRET}".encode()).decode()):
            assert hidden not in shown
            assert hidden.removesuffix("=") not in shown


@in_virtual_time
async def test_a_secret_that_was_stored_before_four_characters_were_asked_for_is_sent_as_ever(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        secrets, workspace_id = world.service.secrets, world.workspace_id
        with pytest.raises(Invalid, match="a secret has 4 to"):
            await secrets.put(workspace_id, "token", "eu", author="test")
        stored = await secrets.put(workspace_id, "token", "eu-1", author="test")
        sealed = secrets._vault.seal("eu", purpose=secret_purpose(workspace_id, "token"))
        await secrets._configuration.put_secret(msgspec.structs.replace(stored, sealed=sealed))
        await world.service.catalog.reload(workspace_id)
        await world.destination("d", template='{"region": "{{secrets.token}}"}')
        await world.send("ord_1")
        await world.all_end()
        assert world.network.to("/d")[0].request.body == b'{"region": "eu"}'
        assert (await world.delivery("ord_1")).state is DeliveryState.DELIVERED
