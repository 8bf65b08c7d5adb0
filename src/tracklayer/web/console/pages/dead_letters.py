"""`/dead-letters`: causes first; then mend, replay at a pace, or let go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Controller, Request, Response, get, post

from tracklayer.errors import Conflict, Invalid, TrackLayerError
from tracklayer.operate.dead_letters import DeadLetter, Mode
from tracklayer.operate.reasons import LONGEST
from tracklayer.operate.replays import Replay
from tracklayer.service import Service
from tracklayer.store.history import DeliveryFilter
from tracklayer.web.console.access import signed_in, visitor
from tracklayer.web.console.causes import Way, mends_of, ways
from tracklayer.web.console.pages.dead_letter_groups import Group, groups_of, newest_letter, query_of
from tracklayer.web.console.pages.delivery_rows import row_facts
from tracklayer.web.console.pages.forms import number_seen, problems_of
from tracklayer.web.console.rendering import count_dead_letters, is_fragment, render, see
from tracklayer.web.problems import status_of

AnyRequest = Request[Any, Any, Any]

PAGE = 50

_NAMES = ("destination_id", "cause", "event_name")


class DeadLettersPages(Controller):
    """The operator's safety net."""

    path = "/dead-letters"
    guards = (signed_in,)
    include_in_schema = False

    @get("/")
    async def all(self, request: AnyRequest, service: Service) -> Response[str]:
        """Causes, and the rows of the one that is chosen."""
        return await _page(request, service, request.query_params)

    @get("/total")
    async def total(self, request: AnyRequest, service: Service) -> Response[str]:
        """The heading with how many there are; its page itself for who opens the address."""
        values = _values(request.query_params)
        if not is_fragment(request):
            return see(request, query_of(values))
        total = await service.dead_letters.count(visitor(request).workspace_id, _wanted(values))
        return render(request, "dead_letters/total_fragment.html", total=total, values=values)

    @get("/counted")
    async def counted(self, request: AnyRequest, service: Service) -> Response[str]:
        """How many are left of what the page of a cause has counted; the page itself for who opens the address."""
        asked = request.query_params
        if not is_fragment(request):
            return see(request, query_of(_values(asked)))
        total = await service.dead_letters.count(visitor(request).workspace_id, _wanted(asked))
        return render(request, "dead_letters/counted_fragment.html", total=total)

    @post("/compare", status_code=200)
    async def compare(self, request: AnyRequest, service: Service) -> Response[str]:
        """What a replay would send: a count, and the bodies of the first ten beside those that were sent."""
        form = await request.form()
        who = visitor(request)
        found = await service.dead_letters.replay_all(
            who.workspace_id, _wanted(form), _mode(form), dry_run=True, author=who.name
        )
        return render(request, "dead_letters/compare.html", found=found, mode=_mode(form))

    @post("/replay", status_code=200)
    async def replay(self, request: AnyRequest, service: Service) -> Response[str]:
        """Begin a replay, and show how far it is."""
        form = await request.form()
        who = visitor(request)
        try:
            wanted = await _counted(service, who.workspace_id, form)
            replay = await service.replays.start(
                who.workspace_id, wanted, _mode(form), per_second=_pace(form), author=who.name
            )
        except (Conflict, Invalid) as error:
            return await _page(request, service, form, error)
        return see(request, f"/dead-letters/replays/{replay.id}")

    @get("/replays/{replay_id:str}")
    async def progress(self, request: AnyRequest, service: Service, replay_id: str) -> Response[str]:
        """How far a replay is; the page asks again until it has ended."""
        return await _progress(request, service, service.replays.get(visitor(request).workspace_id, replay_id))

    @post("/replays/{replay_id:str}/cancel", status_code=200)
    async def cancel(self, request: AnyRequest, service: Service, replay_id: str) -> Response[str]:
        """Stop a replay where it is."""
        who = visitor(request)
        replay = await service.replays.cancel(who.workspace_id, replay_id, author=who.name)
        if not is_fragment(request):
            return see(request, _progress_path(replay))
        return await _progress(request, service, replay)

    @post("/discard", status_code=200)
    async def discard(self, request: AnyRequest, service: Service) -> Response[str]:
        """Let go of all that the filter selects."""
        form = await request.form()
        who = visitor(request)
        try:
            wanted = await _counted(service, who.workspace_id, form)
            count = await service.dead_letters.discard_all(
                who.workspace_id, wanted, str(form.get("reason", "")), author=who.name
            )
        except (Conflict, Invalid) as error:
            return await _page(request, service, form, error)
        return see(request, f"/dead-letters?discarded={count}")


async def _page(
    request: AnyRequest, service: Service, given: Mapping[str, Any], error: TrackLayerError | None = None
) -> Response[str]:
    """The page of what an address selects; or a form, which was refused with `error`."""
    workspace_id, now = visitor(request).workspace_id, service.clock.now()
    values = _values(given)
    wanted, before = _wanted(values), given.get("before")
    causes = await service.dead_letters.causes(workspace_id, wanted)
    rows = await service.dead_letters.page(workspace_id, wanted, limit=PAGE + 1, before=before or None)
    groups = await groups_of(service, workspace_id, causes)
    chosen = groups[0] if len(groups) == 1 and values["destination_id"] and values["cause"] else None
    letter = await newest_letter(service, workspace_id, chosen.cause) if chosen else None
    return render(
        request,
        "dead_letters/cause.html" if chosen else "dead_letters/list.html",
        status=status_of(error) if error else 200,
        groups=groups,
        chosen=chosen,
        ways=_ways(chosen, letter, query_of(values)) if chosen else [],
        letter=letter,
        total=sum(each.count for each in causes),
        rows=rows[:PAGE],
        next=query_of({**values, "before": rows[PAGE - 1].id}) if len(rows) > PAGE else None,
        first=query_of(values) if before else None,
        values=values,
        filtered=any(values.values()),
        problems=problems_of(error),
        discarded=number_seen(given, "discarded"),
        typed={name: str(given.get(name, "")) for name in ("mode", "per_second", "reason")},
        most=LONGEST,
        new_id=service.ids.new("sup"),
        replays=[each for each in service.replays.all(workspace_id) if each.ended_at is None],
        facts=row_facts(service, workspace_id),
        now=now,
    )


async def _counted(service: Service, workspace_id: str, form: Mapping[str, Any]) -> DeliveryFilter:
    """What a form selects of what its page has counted: what died since then is left alone.

    Raises `Conflict` where that is more than the page said, for one whose death was written late, or has no count.
    """
    wanted, seen = _wanted(form), number_seen(form, "seen") or 0
    more = await service.dead_letters.count(workspace_id, wanted) - int(seen)
    if more > 0:
        raise Conflict(f"{more} more came since the page was loaded: this is how it is now, and nothing was done")
    return wanted


def _values(given: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(given.get(name, "")).strip() for name in _NAMES}


def _wanted(form: Mapping[str, Any]) -> DeliveryFilter:
    given = {name: value or None for name, value in _values(form).items()}
    return DeliveryFilter(**given, as_of=number_seen(form, "as_of"))  # type: ignore[arg-type]  # the three are texts


def _mode(form: Mapping[str, Any]) -> Mode:
    return "as_sent" if form.get("mode") == "as_sent" else "rerender"


def _pace(form: Mapping[str, Any]) -> float | None:
    text = str(form.get("per_second", "")).strip()
    try:
        return float(text) if text else None
    except ValueError as error:
        raise Invalid(
            f"The pace is {text[:40]!r}: expected a number of replays a second.", pointer="/per_second"
        ) from error


def _ways(group: Group, letter: DeadLetter | None, back: str) -> list[Way]:
    if group.destination is None:
        return []
    event_id = letter.delivery.event_id if letter else None
    error = letter.last.error if letter and letter.last else None
    return ways(group.destination.id, mends_of(group.cause.cause, error), event_id=event_id, back=back)


async def _progress(request: AnyRequest, service: Service, replay: Replay) -> Response[str]:
    if not is_fragment(request):
        return render(request, "dead_letters/progress.html", replay=replay, now=service.clock.now())
    await count_dead_letters(request)
    return render(
        request,
        "dead_letters/progress_fragment.html",
        headers={} if replay.ended_at is None else {"HX-Trigger": "dead-letters-changed"},
        replay=replay,
        now=service.clock.now(),
    )


def _progress_path(replay: Replay) -> str:
    return f"/dead-letters/replays/{replay.id}"
