"""Passwords: Argon2id (RFC 9106), in threads, a few at a time."""

from __future__ import annotations

import asyncio
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from tracklayer.errors import Invalid

SHORTEST, LONGEST = 12, 200  # characters
AT_ONCE = 2  # each takes the hasher's memory (64 MiB) and a core or more


class Passwords:
    """Hashes passwords and compares them, without holding up the event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """`hasher` has the parameters; by default the second set that RFC 9106, section 4, recommends."""
        self._hasher = hasher or PasswordHasher()
        self._free = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """What is kept of a new password. Raises `Invalid` for one that is too short or too long."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise Invalid(f"a password has {SHORTEST} to {LONGEST} characters", code="invalid_password")
        return await self._hash(password)

    async def fits(self, password: str, kept: str | None) -> bool:
        """Whether it is the password of which `kept` is left. None takes as long, and nothing fits it."""
        if kept is None or len(password) > LONGEST:
            await self._hash(password[:LONGEST])
            return False
        async with self._free:
            return await asyncio.to_thread(self._verify, _bytes(password), kept)

    def is_outdated(self, kept: str) -> bool:
        """Whether it was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(kept)

    async def _hash(self, password: str) -> str:
        async with self._free:
            return await asyncio.to_thread(self._hasher.hash, _bytes(password))

    def _verify(self, password: bytes, kept: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except VerifyMismatchError:
            return False


def _bytes(password: str) -> bytes:
    """The same bytes for what looks the same, however a keyboard composes it (NIST SP 800-63B, section 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode(errors="surrogatepass")
