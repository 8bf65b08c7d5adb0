"""Secrets at rest: sealed for one purpose under one key; the key's file is made whole, once, for its owner only."""

from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.vault import Vault, VaultError, load_or_make_master_key, mask

KEY = bytes(range(32))


@given(secret=st.text(), purpose=st.text(), key=st.binary(min_size=32, max_size=32))
def test_what_is_sealed_is_opened_again_for_the_same_purpose(secret: str, purpose: str, key: bytes) -> None:
    assert Vault(key).open(Vault(key).seal(secret, purpose=purpose), purpose=purpose) == secret


def test_a_sealed_secret_shows_nothing_of_it_and_never_looks_the_same_twice() -> None:
    vault = Vault(KEY)
    first, second = (vault.seal("dest_live_9f3b27", purpose="p") for _ in range(2))
    assert first != second
    assert b"9f3b27" not in first


def test_a_secret_opens_for_its_own_purpose_only() -> None:
    sealed = Vault(KEY).seal("dest_live_9f3b27", purpose="secret a of ws_1")
    with pytest.raises(VaultError, match="secret b of ws_1 cannot be decrypted") as caught:
        Vault(KEY).open(sealed, purpose="secret b of ws_1")
    assert "9f3b27" not in caught.value.detail


def test_a_secret_opens_with_its_own_key_only() -> None:
    sealed = Vault(KEY).seal("dest_live_9f3b27", purpose="p")
    with pytest.raises(VaultError, match="TRACKLAYER_MASTER_KEY is not the key"):
        Vault(bytes(32)).open(sealed, purpose="p")


@given(place=st.integers(0, 12 + 16 + 16 - 1), flip=st.integers(1, 255))
def test_a_changed_byte_anywhere_is_noticed(place: int, flip: int) -> None:
    sealed = bytearray(Vault(KEY).seal("dest_live_9f3b27", purpose="p"))
    sealed[place] ^= flip
    with pytest.raises(VaultError):
        Vault(KEY).open(bytes(sealed), purpose="p")


@pytest.mark.parametrize("length", [0, 1, 11, 12, 27])
def test_a_truncated_secret_is_noticed(length: int) -> None:
    sealed = Vault(KEY).seal("", purpose="p")
    with pytest.raises(VaultError, match="p cannot be decrypted"):
        Vault(KEY).open(sealed[:length], purpose="p")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(VaultError, match=f"has {length} bytes, expected 32"):
        Vault(bytes(length))


def test_a_new_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "master.key"

    key = load_or_make_master_key(path)

    assert len(key) == 32
    assert load_or_make_master_key(path) == key
    assert base64.b64decode(path.read_text()) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert load_or_make_master_key(tmp_path / "other.key") != key


def test_processes_that_make_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(load_or_make_master_key, [tmp_path / "master.key"] * 32))
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_a_key_file_may_be_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_text(f"  {base64.b64encode(KEY).decode()}\r\n\n")
    assert load_or_make_master_key(path) == KEY


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "holds 0 bytes in base64, expected 32"),
        (base64.b64encode(b"sixteen bytes...") + b"\n", "holds 16 bytes in base64, expected 32"),
        (b"not base64!", "is not base64: expected 32 bytes"),
        (b"\xff\xfe\x00", "is not base64: expected 32 bytes"),
    ],
)
def test_a_key_file_that_is_no_key_is_refused_with_its_name_and_never_replaced(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content)
    with pytest.raises(VaultError, match=reason) as caught:
        load_or_make_master_key(path)
    assert str(path) in caught.value.detail
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "secret, shown", [("dest_live_9f3b27", "••••3b27"), ("12345678", "••••5678"), ("1234567", "••••"), ("", "••••")]
)
def test_a_mask_shows_the_end_of_a_long_secret_and_nothing_of_a_short_one(secret: str, shown: str) -> None:
    assert mask(secret) == shown
