"""Ids: unique without a central counter, and sorted as text in the order in which they were made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, in ASCII order, without i, l, o, u
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]  # 10 bits → 2 digits
_TAIL_BITS = 60  # the part that counts within one millisecond; 15 hex digits, 12 digits of base 32
_TAIL_END = 1 << _TAIL_BITS


def first_id(prefix: str, at: float) -> str:
    """Where the ids begin that `IdFactory.new(prefix)` makes from `at` (unix seconds) on: none of them sorts before it.

    So a range of time is a range of ids, as exactly as ids are made at the time of what they name.
    """
    millisecond = min(max(0, int(at * 1000)), (1 << 48) - 1)
    return f"{prefix}_" + "".join(_PAIRS[millisecond >> shift & 1023] for shift in range(40, -1, -10))


def made_at(some_id: str) -> float:
    """When `IdFactory.new` made it (unix seconds, to the millisecond); also of what `first_id` answers."""
    millisecond = 0
    for digit in some_id.partition("_")[2][:10]:
        millisecond = millisecond << 5 | _DIGITS.index(digit)
    return millisecond / 1000


def is_id(text: str, prefix: str) -> bool:
    """Whether `IdFactory.new(prefix)` could have made it."""
    return re.fullmatch(rf"{prefix}_[{_DIGITS}]{{26}}", text) is not None


class IdFactory:
    """Makes UUIDv7 numbers (RFC 9562, section 5.7), each greater than the one before, and writes them in two ways.

    Within one millisecond, and while the clock stands still or runs backwards, the low 60 bits grow by a random step
    (RFC 9562, section 6.2, method 2); should they run out, the time part moves on by one millisecond. `now` gives unix
    seconds. One factory belongs to one thread.
    """

    def __init__(self, now: Callable[[], float], rng: random.Random) -> None:
        self._now = now
        self._random_bits = rng.getrandbits
        self._start(int(now() * 1000))

    def event_uuid(self) -> str:
        """A UUIDv7 in its canonical text: `01977e3a-5c00-7b1f-8a6c-0242ac120002`."""
        tail = f"{self._next_tail():015x}"
        return f"{self._uuid_head}{tail[:3]}-{tail[3:]}"

    def new(self, prefix: str) -> str:
        """`prefix`, an underscore, and 26 digits of Crockford's base 32: `dlv_01jxz3mq00fcfrn3c2890ar1c0`."""
        tail = self._next_tail()
        return (
            f"{prefix}_{self._base32_head}{_PAIRS[tail >> 50]}{_PAIRS[tail >> 40 & 1023]}{_PAIRS[tail >> 30 & 1023]}"
            f"{_PAIRS[tail >> 20 & 1023]}{_PAIRS[tail >> 10 & 1023]}{_PAIRS[tail & 1023]}"
        )

    def _next_tail(self) -> int:
        millisecond = int(self._now() * 1000)
        if millisecond > self._millisecond:
            self._start(millisecond)
        else:
            self._tail += 1 + self._random_bits(32)
            if self._tail >= _TAIL_END:
                self._start(self._millisecond + 1)
        return self._tail

    def _start(self, millisecond: int) -> None:
        """Begin `millisecond`: fix the 68 high bits of its ids, written both ways, and draw where the tail begins."""
        self._millisecond = millisecond
        self._tail = self._random_bits(_TAIL_BITS - 1)  # the top bit stays free, as room to count
        version_and_random = 0x7 << 12 | self._random_bits(12)
        variant_and_random = 0b10 << 2 | self._random_bits(2)
        head = (millisecond << 16 | version_and_random) << 4 | variant_and_random
        digits = f"{head:017x}"
        self._uuid_head = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16]}"
        self._base32_head = "".join(_PAIRS[head >> shift & 1023] for shift in range(60, -1, -10))
