"""Encryption of secrets at rest: AES-256-GCM (NIST SP 800-38D), one random nonce each, bound to what they are for."""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tracklayer.errors import TrackLayerError

_NONCE = 12
_KEY = 32


class VaultError(TrackLayerError):
    """The master key is not usable, or not the one that a secret was sealed with."""

    code = "vault"


class Vault:
    """Seals and opens secrets with the master key."""

    def __init__(self, master_key: bytes) -> None:
        """`master_key` is 32 bytes."""
        if len(master_key) != _KEY:
            raise VaultError(f"the master key has {len(master_key)} bytes, expected {_KEY}")
        self._cipher = AESGCM(master_key)
        self._master_key = master_key

    def seal(self, secret: str, *, purpose: str) -> bytes:
        """Encrypt; `purpose` (whose secret it is) is authenticated with it, so that rows cannot be swapped."""
        # The nonce protects the key, so it comes from the operating system and not from the simulation's dice.
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), purpose.encode())

    def open(self, sealed: bytes, *, purpose: str) -> str:
        """Decrypt what `seal` made for the same purpose. Raises `VaultError`."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode()).decode()
        except (InvalidTag, ValueError) as error:  # ValueError: too short to have a nonce
            raise VaultError(
                f"{purpose} cannot be decrypted: TRACKLAYER_MASTER_KEY is not the key that it was saved with"
            ) from error

    def derive(self, purpose: str) -> str:
        """A key for another purpose (HKDF, RFC 5869), in hex: the same wherever the master key is, and no way back."""
        return HKDF(hashes.SHA256(), _KEY, salt=None, info=purpose.encode()).derive(self._master_key).hex()


def load_or_make_master_key(path: Path) -> bytes:
    """The key in the file at `path`; where there is none, a new one is made there, readable by its owner only.

    The file appears whole and durable or not at all, for what is sealed with a key that is lost is lost too; of
    processes that make one at the same time, all get the same. Raises `VaultError`, which never shows the key.
    """
    if not path.exists():
        _make(path)
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except binascii.Error as error:
        raise VaultError(f"{path} is not base64: expected {_KEY} bytes in base64") from error
    if len(key) != _KEY:
        raise VaultError(f"{path} holds {len(key)} bytes in base64, expected {_KEY}")
    return key


def _make(path: Path) -> None:
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(_KEY)) + b"\n")
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):  # another process was quicker
            os.link(draft, path)
    finally:
        os.unlink(draft)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def mask(secret: str) -> str:
    """How a secret is shown: `••••3b27`, and nothing of one shorter than eight characters."""
    return "••••" + (secret[-4:] if len(secret) >= 8 else "")
