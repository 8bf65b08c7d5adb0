"""How often something may fail within a time, for each of many keys; in memory, and bounded."""

from __future__ import annotations

from collections import OrderedDict

MOST_KEYS = 20_000  # more than hashing lets anybody fail with within a window


class FailureLimit:
    """At most `most` failures of one key within `window` seconds.

    A try counts as a failure from its beginning (`add`) until it turns out otherwise (`remove`, `clear`), or many at
    once would slip through.
    """

    def __init__(self, most: int, window: float) -> None:
        self._most = most
        self._window = window
        self._times: OrderedDict[str, list[float]] = OrderedDict()  # the key that failed last stands last

    def wait(self, key: str, now: float) -> float:
        """Seconds until a next try may be made; 0 where it may be now."""
        recent = self._recent(key, now)
        return 0.0 if len(recent) < self._most else recent[-self._most] + self._window - now

    def add(self, key: str, now: float) -> None:
        """Count a try."""
        self._times[key] = [*self._recent(key, now), now]
        self._times.move_to_end(key)
        if len(self._times) > MOST_KEYS:
            self._times.popitem(last=False)

    def remove(self, key: str) -> None:
        """Take the last try back: it was none that failed."""
        if times := self._times.get(key):
            times.pop()

    def clear(self, key: str) -> None:
        """Forget every failure of a key."""
        self._times.pop(key, None)

    def _recent(self, key: str, now: float) -> list[float]:
        return [at for at in self._times.get(key, ()) if at > now - self._window]
