"""`python -m bench.bare serve …`: the server without the step that makes events whole, for `bench.completing`.

An operator can switch most of that step off, but not the memory of consent; this knows nothing of it at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tracklayer.cli import main
from tracklayer.flow.completing import Completing
from tracklayer.model.event import Event
from tracklayer.model.work import Candidate
from tracklayer.store.facts import Memory


def untouched(
    _completing: Completing, items: Sequence[Candidate], _memory: Memory, then: Callable[[Candidate, Event], None]
) -> None:
    """Hand the events of `items` on as normalization made them."""
    for item in items:
        then(item, item.event)


if __name__ == "__main__":
    setattr(Completing, "complete", untouched)  # noqa: B010 (a type checker forbids it; this process is for nothing else)
    main()
