"""Passwords: kept as Argon2id, compared in threads."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from tracklayer.errors import Invalid
from tracklayer.operate.passwords import LONGEST, SHORTEST, Passwords

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


async def test_a_password_fits_what_was_kept_of_it_and_no_other_does() -> None:
    passwords = Passwords(QUICK)
    kept = await passwords.hash("correct horse battery")
    assert "correct" not in kept
    assert await passwords.fits("correct horse battery", kept)
    assert not await passwords.fits("correct horse batterz", kept)
    assert not await passwords.fits("", kept)


async def test_two_people_with_one_password_have_different_hashes() -> None:
    passwords = Passwords(QUICK)
    assert await passwords.hash("correct horse battery") != await passwords.hash("correct horse battery")


async def test_the_parameters_are_those_of_rfc_9106() -> None:
    parameters = extract_parameters(await Passwords().hash("correct horse battery"))
    assert parameters.type is Type.ID
    assert (parameters.time_cost, parameters.memory_cost, parameters.parallelism) == (3, 65536, 4)


@pytest.mark.parametrize("length", [0, SHORTEST - 1, LONGEST + 1])
async def test_too_short_and_too_long_are_refused(length: int) -> None:
    with pytest.raises(Invalid, match="12 to 200"):
        await Passwords(QUICK).hash("x" * length)


@pytest.mark.parametrize("length", [SHORTEST, LONGEST])
async def test_the_shortest_and_the_longest_are_taken(length: int) -> None:
    passwords = Passwords(QUICK)
    assert await passwords.fits("x" * length, await passwords.hash("x" * length))


async def test_a_longer_password_than_any_does_not_fit_by_its_beginning() -> None:
    passwords = Passwords(QUICK)
    kept = await passwords.hash("x" * LONGEST)
    assert not await passwords.fits("x" * (LONGEST + 1), kept)


async def test_an_accent_typed_in_two_ways_is_the_same_password() -> None:
    passwords = Passwords(QUICK)
    assert await passwords.fits("caf\u0065\u0301 au lait !", await passwords.hash("caf\u00e9 au lait !"))


async def test_where_nothing_is_kept_nothing_fits_and_it_hashes_all_the_same() -> None:
    class Counting(PasswordHasher):
        hashed = 0

        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            self.hashed += 1
            return super().hash(password, salt=salt)

    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    assert not await Passwords(hasher).fits("correct horse battery", None)
    assert hasher.hashed == 1


async def test_other_parameters_are_outdated() -> None:
    kept = await Passwords(QUICK).hash("correct horse battery")
    assert not Passwords(QUICK).is_outdated(kept)
    assert Passwords().is_outdated(kept)
    assert await Passwords().fits("correct horse battery", kept)
