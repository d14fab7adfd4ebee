"""What may hold secrets is encrypted before it reaches the database, under keys that live beside it, not in it.

Stores seal and open through a `Cipher`; the doors digest requests with it. The key file holds one base64 key a line:
the first encrypts, all decrypt, so a new key is put on top and an old one taken out once nothing needs it. Digests are
made with the last, which rotation leaves in place: taken out, a repeated `request_id` is refused as another request.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cloudspan_common.errors import Defect, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_BYTES = 32
_ROWS = 4_096  # whose keys are at hand
_FORM = b"\x01"
_NAME_BYTES, _NONCE_BYTES = 4, 12
_HEAD_BYTES = len(_FORM) + _NAME_BYTES + _NONCE_BYTES


class Cipher:
    """Seals with the first of its keys, opens with any; a blob belongs to one row and one column."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise PreconditionFailed(f"a cipher needs at least one key, each of {KEY_BYTES} bytes")
        self._keys = {_name_of(key): key for key in keys}
        self._first = _name_of(keys[0])
        self._digesting = _derived(keys[-1], b"digest")
        self._of_row = functools.lru_cache(maxsize=_ROWS)(self._made_for)

    def __repr__(self) -> str:
        return f"<Cipher {', '.join(name.hex() for name in self._keys)}>"

    @classmethod
    def new(cls) -> Cipher:
        """Return one with a key that nobody else has and that is not kept."""
        return cls([os.urandom(KEY_BYTES)])

    @classmethod
    def load(cls, path: str | Path, *, create: bool = True) -> Cipher:
        """Read the keys of a file, which is made with a new one if there is none and `create` is set.

        Raises:
            PreconditionFailed: No such file, or something else than keys in it.
        """
        file = Path(path)
        if create and not file.exists():
            _write_new(file)
        try:
            lines = file.read_text("ascii").split()
        except (OSError, UnicodeDecodeError) as error:
            raise PreconditionFailed(f"the keys of stored operations can't be read from {file}: {error}") from error
        return cls([_key(line, f"line {number} of {file}") for number, line in enumerate(lines, 1)])

    def seal(self, plain: bytes, row: str, column: str) -> bytes:
        """Encrypt what is kept in a column of a row."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORM + self._first + nonce + self._of_row(self._first, row).encrypt(nonce, plain, column.encode())

    def open(self, sealed: bytes, row: str, column: str) -> bytes:
        """Decrypt it.

        Raises:
            PreconditionFailed: The key that it was sealed with is not in the file.
            Defect: It was altered, or belongs to another row or column.
        """
        name, nonce = sealed[1 : 1 + _NAME_BYTES], sealed[1 + _NAME_BYTES : _HEAD_BYTES]
        if sealed[:1] != _FORM or name not in self._keys:
            text = f"operations/{row} can't be read: its {column} is encrypted under key {name.hex()}, which is missing"
            raise PreconditionFailed(f"{text}; put that key back into the key file", reason="STORE_KEY_MISSING")
        try:
            return self._of_row(name, row).decrypt(nonce, sealed[_HEAD_BYTES:], column.encode())
        except InvalidTag as error:
            text = f"operations/{row} can't be read: its {column} was altered in the database; restore it from a backup"
            raise Defect(text, reason="STORE_DATA_ALTERED") from error

    def digest(self, plain: bytes) -> bytes:
        """Return a digest that differs for any other `plain` and, without the keys, reveals nothing about it."""
        return hmac.digest(self._digesting, plain, "sha256")

    def _made_for(self, name: bytes, row: str) -> AESGCM:
        # A key for each row: random nonces stay safe for 2**32 messages under one key, which a busy year exceeds.
        return AESGCM(_derived(self._keys[name], b"row " + row.encode()))


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, purpose, "sha256")


def _name_of(key: bytes) -> bytes:
    return hashlib.sha256(b"cloudspan key name" + key).digest()[:_NAME_BYTES]


def _key(line: str, where: str) -> bytes:
    try:
        key = base64.b64decode(line, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise PreconditionFailed(f"{where} is not a key; expected {KEY_BYTES} bytes in base64, one key a line")
    return key


def _write_new(file: Path) -> None:
    """Make the file whole or not at all; of two processes one wins and both read its key."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(draft, file)
        except FileExistsError:
            return  # another process was first: its key is the one
    finally:
        draft.unlink()
