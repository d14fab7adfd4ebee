"""The audit as JSON lines: whole lines in the order of the chain, and no call held up by a disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from gateway.tests.audit_chains import broken_at, event
from structlog.testing import capture_logs

from cloudspan_common.errors import PreconditionFailed
from cloudspan_gateway.audit import file as audit_file
from cloudspan_gateway.audit.file import AuditFile
from cloudspan_gateway.audit.store import AuditStore
from cloudspan_gateway.storage.engine import open_database


@pytest.fixture
async def store():
    database = await open_database("memory:")
    opened = AuditStore(database)
    yield opened
    await opened.close()
    await database.close()


async def test_every_event_is_a_line_also_after_the_file_was_renamed(store: AuditStore, tmp_path: Path) -> None:
    """The two files joined are the chain."""
    path = tmp_path / "audit.jsonl"
    file = AuditFile(path)
    store.chain.subscribe(file.write)
    await store.keep([event(), event("users/bob")])
    assert file._writing is not None
    await file._writing
    path.rename(tmp_path / "audit.jsonl.1")
    await store.keep([event("users/eve")])
    await file.close()
    lines = [line for name in ("audit.jsonl.1", "audit.jsonl") for line in (tmp_path / name).read_text().splitlines()]
    found = [json.loads(line) for line in lines]
    assert [json.loads(row["record"])["subject"] for row in found] == ["users/alice", "users/bob", "users/eve"]
    assert broken_at(found) is None
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_full_disk_is_logged_once_and_counted_and_leaves_whole_lines(
    store: AuditStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a line was written when the room ended."""
    path, lost = tmp_path / "audit.jsonl", []
    file = AuditFile(path, lost.append)
    store.chain.subscribe(file.write)

    def full(number: int, lines: memoryview) -> None:
        os.write(number, lines[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with capture_logs() as logged:
        with monkeypatch.context() as patched:
            patched.setattr(audit_file, "_write_all", full)
            for _ in range(2):
                await store.keep([event()])
                await file._writing
        await store.keep([event()])
        await file._writing
    await file.close()
    assert lost == [1, 1]
    assert [(one["log_level"], one.get("error")) for one in logged] == [
        ("error", "No space left on device"), ("info", None),
    ]  # fmt: skip
    assert [json.loads(line)["sequence"] for line in path.read_text().splitlines()] == [3]


async def test_a_file_that_can_not_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(PreconditionFailed, match="choose another file"):
        AuditFile(tmp_path / "missing" / "audit.jsonl")
