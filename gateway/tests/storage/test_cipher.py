"""Secrets at rest: what is sealed, under which key, and what a wrong one says."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from cloudspan_common.errors import Defect, PreconditionFailed
from cloudspan_gateway.storage.cipher import Cipher


def _line() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def test_a_value_is_decrypted_only_in_the_row_and_column_it_was_encrypted_for() -> None:
    """Row and column are part of it; sealed twice it looks different."""
    cipher = Cipher.new()
    sealed = cipher.seal(b"plain", "row", "request")
    assert b"plain" not in sealed
    assert cipher.open(sealed, "row", "request") == b"plain"
    assert cipher.seal(b"plain", "row", "request") != sealed
    for row, column in (("other", "request"), ("row", "outcome")):
        with pytest.raises(Defect, match="altered"):
            cipher.open(sealed, row, column)
    with pytest.raises(Defect) as caught:
        cipher.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "row", "request")
    assert caught.value.reason == "STORE_DATA_ALTERED"


def test_a_key_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """Read again it is the same key; without permission to make one it must be there."""
    file = tmp_path / "new" / "keys"
    with pytest.raises(PreconditionFailed, match="No such file"):
        Cipher.load(file, create=False)
    sealed = Cipher.load(file).seal(b"x", "row", "c")
    assert file.stat().st_mode & 0o777 == 0o600
    assert [f.name for f in file.parent.iterdir()] == ["keys"]
    assert Cipher.load(file).open(sealed, "row", "c") == b"x"


def test_keys_rotate(tmp_path: Path) -> None:
    """The first encrypts, all decrypt, and one that is missing is named."""
    file, old, new = tmp_path / "keys", _line(), _line()
    file.write_text(f"{old}\n")
    sealed = Cipher.load(file).seal(b"x", "row", "cursor")
    file.write_text(f"{new}\n\n{old}\n")
    both = Cipher.load(file)
    assert both.open(sealed, "row", "cursor") == b"x"
    file.write_text(new)
    only = Cipher.load(file)
    assert only.open(both.seal(b"y", "row", "cursor"), "row", "cursor") == b"y"
    with pytest.raises(PreconditionFailed, match=r"operations/row.*cursor.*under key [0-9a-f]{8}, which is missing"):
        only.open(sealed, "row", "cursor")


def test_a_digest_stays_as_long_as_the_last_key(tmp_path: Path) -> None:
    """A new key on top changes none; another last one changes all."""
    file, old, new = tmp_path / "keys", _line(), _line()
    file.write_text(old)
    digest = Cipher.load(file).digest(b"request")
    file.write_text(f"{new}\n{old}")
    assert Cipher.load(file).digest(b"request") == digest
    assert Cipher.load(file).digest(b"other") != digest
    file.write_text(new)
    assert Cipher.load(file).digest(b"request") != digest


@pytest.mark.parametrize("text", ["", "short", "c2hvcnQ=", "é" * 44])
def test_a_malformed_key_is_refused(tmp_path: Path, text: str) -> None:
    """With the place and the form, and without the text: it may be a key with a slip."""
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(PreconditionFailed) as caught:
        Cipher.load(file)
    assert not text or text not in caught.value.message


def test_a_cipher_shows_names_of_keys_and_no_key(tmp_path: Path) -> None:
    """In its repr."""
    file, line = tmp_path / "keys", _line()
    file.write_text(line)
    shown = repr(Cipher.load(file))
    assert shown.startswith("<Cipher ")
    assert len(shown) == len("<Cipher 01234567>")
    assert base64.b64decode(line)[:4].hex() not in shown
