"""Claims in Consul: keys of its key-value store that a session holds, under `cloudspan/coordination/`.

A session has a TTL and nothing else that could end it: with Consul's health checks it could end while its owner still
counts on it. One session for all that a process claims, one blocking query for all that is claimed. Speaks through
`consul_agent.Agent`, with what py-consul and python-consul2 share.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

import structlog

from cloudspan_common.errors import Forbidden, PlatformFault
from cloudspan_common.registry.coordination.claims import MEMBER, Claim, Entry, Key, OwnerEnded, least_fence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from cloudspan_common.clock import Clock
    from cloudspan_common.registry.consul_agent import Agent

PREFIX = "cloudspan/coordination/"
_EPOCH = f"{PREFIX}epoch"
_FOLDERS = {"lock": "locks", "leader": "leaders", "member": "members"}
_KINDS = {folder: kind for kind, folder in _FOLDERS.items()}
_MAX_EPOCH = 1 << 62
_TRIES = 3

log = structlog.get_logger(__name__)


class ConsulClaims:
    """Claims of one session, and all that other sessions have.

    A fence is the epoch plus the index at which the key was taken. Consul's index grows with every write, also when
    keys were deleted; the epoch is the time at which some gateway first found none, so that fences go on growing in a
    Consul that has lost everything.
    """

    def __init__(self, agent: Agent, clock: Clock, *, lease_s: float, wait_s: float) -> None:
        self.owner = ""
        self._agent, self._clock, self._lease_s, self._wait_s = agent, clock, lease_s, wait_s
        self._index = 0
        self._highest = 0
        self._skipped: set[str] = set()

    def __repr__(self) -> str:
        return f"<ConsulClaims {self._agent.address}, session {self.owner or 'none'}>"

    async def renew(self, held: Collection[Key]) -> Collection[Key]:
        if self.owner and (await self._put(f"/v1/session/renew/{self.owner}")).code != 404:
            return held
        created = await self._put("/v1/session/create", {
            "Name": f"cloudspan {socket.gethostname()} {os.getpid()}",
            "TTL": f"{self._lease_s * 1000:.0f}ms",
            "LockDelay": "0s",
            "Behavior": "delete",
            "Checks": [],  # before Consul 1.7
            "NodeChecks": [],
        })  # fmt: skip
        with self._understood():
            self.owner = str(created.body["ID"])
        return ()

    async def claim(self, key: Key, data: str) -> Claim | None:
        session = self.owner
        for _ in range(_TRIES):
            answer = await self._put("/v1/txn", _taking(key, data, session))
            if answer.code == 200:
                with self._understood():
                    return self._claimed(answer.body)
            at, why = _refusal(answer.body)
            if at == 1:
                await self._begin_epoch()
            elif why.startswith(("invalid session", "failed session lookup")):
                text = f"Consul agent {self._agent.address} has ended session {session}; see who destroys sessions"
                raise OwnerEnded(text, reason="REGISTRY_UNREACHABLE")
            elif "already held" in why or "lock delay" in why:
                return None
            else:
                raise self._fault(why)
        raise self._fault(f"{_EPOCH} does not stay")

    async def release(self, key: Key, version: int) -> None:
        await self._agent.call(lambda api: api.kv.delete(_path_of(key), cas=version))

    async def entries(self, *, fresh: bool) -> Mapping[Key, Entry]:
        index = 0 if fresh else self._index
        wait_s = self._wait_s if index else 0.0
        # An index of 0 would not block; without one the answer comes at once.
        found, rows = await self._agent.query(
            lambda api: api.kv.get(PREFIX, recurse=True, index=index or None, wait=f"{wait_s * 1000:.0f}ms"), wait_s
        )
        with self._understood():
            # An index that goes backwards is another life of the servers: start over, as Consul's documentation asks.
            self._index = 0 if int(found) < index else max(int(found), 1)
            entries = [self._entry_of(row) for row in rows or ()]
        return dict(entry for entry in entries if entry is not None)

    async def close(self) -> None:
        if self.owner:
            await self._put(f"/v1/session/destroy/{self.owner}")

    # -------------------------------------------------------------- rows

    def _claimed(self, body: Any) -> Claim:
        taken, epoch = (result["KV"] for result in body["Results"])
        text = base64.b64decode(epoch["Value"] or "").decode(errors="replace")
        if not text.isascii() or not text.isdigit() or not 0 < int(text) < _MAX_EPOCH:
            raise self._fault(f"{_EPOCH} holds {text[:40]!r} and not the time when it was made; delete it")
        version = int(taken["ModifyIndex"])
        fence = int(text) + version
        self._highest = max(self._highest, fence)
        return Claim(fence, version)

    async def _begin_epoch(self) -> None:
        epoch = max(least_fence(self._clock), self._highest + 1)
        await self._agent.call(lambda api: api.kv.put(_EPOCH, str(epoch), cas=0))

    def _entry_of(self, row: dict[str, Any]) -> tuple[Key, Entry] | None:
        if "Session" not in row:  # the epoch, or what nobody has
            return None
        try:
            value = json.loads(row["Value"] or b"")
            return _key_of(row["Key"]), Entry(row["Session"], row["ModifyIndex"], str(value["data"]))
        except (ValueError, KeyError, TypeError) as error:
            if row["Key"] not in self._skipped:
                self._skipped.add(row["Key"])
                log.warning("entry in Consul is not a claim, skipped", key=row["Key"], why=repr(error))
            return None

    # -------------------------------------------------------------- calls that the libraries lack or narrow

    async def _put(self, path: str, body: object = None) -> _Answer:
        data = "" if body is None else json.dumps(body)

        def put(api: Any) -> _Answer:
            headers = {"X-Consul-Token": api.token} if api.token else None
            return api.http.put(_Answer.of, path, data=data, headers=headers)

        answer = await self._agent.call(put)
        if answer.code == 403 or "Permission denied" in str(answer.body):
            text = (
                f"Consul agent {self._agent.address} refused the token for {path.rpartition('/')[0]}; give it "
                f'session_prefix "" and key_prefix "{PREFIX}", both with "write"'
            )
            raise Forbidden(text, reason="REGISTRY_FORBIDDEN")
        if answer.code not in (200, 404, 409):
            raise self._fault(f"{answer.code} {answer.body}")
        return answer

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise self._fault(f"it answered something unexpected ({error!r})") from error

    def _fault(self, what: str) -> PlatformFault:
        text = f"Consul agent {self._agent.address} grants no locks: {what[:300]}; see its log"
        return PlatformFault(text, reason="REGISTRY_FAULT")


class _Answer(NamedTuple):
    code: int
    body: Any

    @classmethod
    def of(cls, response: Any) -> _Answer:
        """Take what the client library hands to its callbacks."""
        try:
            return cls(response.code, json.loads(response.body))
        except ValueError:
            return cls(response.code, response.body)


def _taking(key: Key, data: str, session: str) -> list[dict[str, Any]]:
    """Return the transaction that takes a key and reads the epoch, or does neither."""
    # Consul keeps the index of a key that is written again as it is, and the next claim would have the fence of this.
    value = json.dumps({"data": data, "claim": uuid.uuid4().hex})
    taking = {"Verb": "lock", "Key": _path_of(key), "Session": session}
    taking["Value"] = base64.b64encode(value.encode()).decode()
    return [{"KV": taking}, {"KV": {"Verb": "get", "Key": _EPOCH}}]


def _refusal(body: Any) -> tuple[int, str]:
    """Return which part of a transaction was refused, and why."""
    try:
        error = body["Errors"][0]
        return int(error["OpIndex"]), str(error["What"])
    except (KeyError, IndexError, TypeError, ValueError):
        return -1, str(body)


def _path_of(key: Key) -> str:
    names = (key.name, key.member) if key.kind == MEMBER else (key.name,)
    return PREFIX + "/".join((_FOLDERS[key.kind], *map(_escaped, names)))


def _key_of(path: str) -> Key:
    folder, *names = path.removeprefix(PREFIX).split("/")
    kind = _KINDS[folder]
    if len(names) != (2 if kind == MEMBER else 1):
        raise ValueError(f"{path} has {len(names)} names")
    return Key(kind, *(_unescaped(name) for name in names))


def _escaped(name: str) -> str:
    # Whole names as one segment of a path, without what a URL's parts begin with, and never `.` or `..`.
    return quote(name, safe="").replace(".", "%2E").replace("%", "=")


def _unescaped(name: str) -> str:
    return unquote(name.replace("=", "%"), errors="strict")
