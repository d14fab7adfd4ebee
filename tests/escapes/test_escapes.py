"""No attempt to get at what one may not succeeds, and none learns from the answer whether it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import symbol_database
from tests.escapes import credentials, events, inventory, policies, sides, tenants
from tests.escapes.attempt import Attempt
from tests.escapes.world import CANARY, OWN, SECRET, VAULT, Outcome, World, request_of

from cloudspan.v1 import audit_pb2
from cloudspan_common import contract

pytestmark = pytest.mark.timeout(180)  # the first test starts the processes and hashes passwords

ATTEMPTS = [
    *credentials.SESSIONS, *credentials.JWTS, *credentials.LOGINS,
    *tenants.GETS, *tenants.LISTS, *tenants.RESOURCES, *tenants.OPERATIONS, *policies.POLICY, *sides.SIDES,
    *inventory.INVENTORY, *events.ALL,
]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world")) as made:
        yield made


def test_there_are_many_attempts() -> None:
    names = [attempt.name for attempt in ATTEMPTS]
    assert len(ATTEMPTS) >= 80
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=repr)
def test_it_fails_and_reveals_nothing(world: World, attempt: Attempt) -> None:
    outcome = attempt.tries(world)
    assert outcome.code in attempt.codes, f"{outcome.code}: {outcome.text[:600]}"
    seen = outcome.text
    for secret in (CANARY, "acme inc.", *world.tokens.values()):
        assert secret not in seen, f"{secret} in {seen[:600]}"
    for answer in outcome.answers:
        if isinstance(answer, audit_pb2.ListAuditEventsResponse):  # its own attempts, with what it said itself
            assert {event.tenant for event in answer.events} <= {"globex"}
            assert {event.subject for event in answer.events} <= {"users/mallory", "users/mike", "users/nobody"}
        else:
            assert not any(place in str(answer) for place in ("acme-main", "vault", "deep")), seen[:600]


def _hidden_and_missing() -> list[tuple[str, str, str]]:
    """(method, a name that is hidden, one of the same length that does not exist) for every method of clusters."""
    found = []
    for method in contract.methods().values():
        if not method.routed_field or method.client_streaming:
            continue
        tail = f"/{method.collection}/1" if method.collection else ""
        name = method.full_name.removeprefix("cloudspan.v1.")
        found += [
            (name, SECRET + tail, OWN.replace("globex-main", "none-main") + tail),
            (name, VAULT + tail, "platforms/fault/clusters/deep" + tail),
        ]
    return found


def _hidden_and_missing_in_the_inventory() -> list[tuple[str, object, object, str, str]]:
    """(method, a request about what is hidden, the same about what is missing, both names): stored reads, the rest."""
    found = []
    for rpc in inventory.METHODS:
        name = f"{inventory.SERVICE}/{rpc}"
        for hidden, missing in _CLUSTERS:
            found.append((name, request_of(name, parent=hidden), request_of(name, parent=missing), hidden, missing))
    for method in contract.methods().values():
        if "stale_ok" not in method.request.DESCRIPTOR.fields_by_name:
            continue
        tail = f"/{method.collection}/1" if method.collection else ""
        for hidden, missing in _CLUSTERS:
            requests = [_stored(method, name + tail) for name in (hidden, missing)]
            name = method.full_name.removeprefix("cloudspan.v1.")
            found.append((name, *requests, hidden + tail, missing + tail))
    return found


_CLUSTERS = (
    (SECRET, OWN.replace("globex-main", "none-main")),
    (VAULT, "platforms/fault/clusters/deep"),
)


def _stored(method: contract.Method, name: str) -> object:
    request = _filled(method, name)
    request.max_staleness.CopyFrom(inventory.AN_HOUR)  # type: ignore[attr-defined] # its descriptor has it
    request.stale_ok = True  # type: ignore[attr-defined]
    return request


def _filled(method: contract.Method, value: str) -> object:
    """A request for a name, its required fields filled."""
    request = request_of(method.full_name.removeprefix("cloudspan.v1."))
    message = request
    *parents, last = method.routed_field.split(".")
    for parent in parents:
        message = getattr(message, parent)
    setattr(message, last, value)
    _fill_required(request, method.routed_field)
    return request


def _fill_required(message, routed: str, prefix: str = "") -> None:  # type: ignore[no-untyped-def]
    for field in contract._required_fields(message.DESCRIPTOR):
        path = f"{prefix}{field}"
        if path == routed:
            continue
        descriptor = message.DESCRIPTOR.fields_by_name[field]
        if descriptor.message_type is not None:
            inner = getattr(message, field).add() if descriptor.is_repeated else getattr(message, field)
            inner.SetInParent() if not descriptor.is_repeated else None
            _fill_required(inner, routed, f"{path}.")
        elif descriptor.cpp_type == descriptor.CPPTYPE_STRING and not descriptor.is_repeated:
            setattr(message, field, "x" if descriptor.type == descriptor.TYPE_STRING else b"x")
        elif not descriptor.is_repeated and descriptor.cpp_type != descriptor.CPPTYPE_BOOL:
            setattr(message, field, 1)


@pytest.mark.parametrize(("method", "hidden", "missing"), _hidden_and_missing())
def test_what_is_hidden_is_answered_as_what_does_not_exist(
    world: World, method: str, hidden: str, missing: str
) -> None:
    """The same code, message and details, but for the name that was asked for."""
    asked = contract.methods()[f"cloudspan.v1.{method}"]
    _check_same(world, method, (_filled(asked, hidden), _filled(asked, missing)), (hidden, missing))


@pytest.mark.parametrize(("method", "hidden", "missing", "its_name", "other"), _hidden_and_missing_in_the_inventory())
def test_the_inventory_hides_as_if_there_were_nothing(
    world: World, method: str, hidden: object, missing: object, its_name: str, other: str
) -> None:
    """By its own methods, and by Get and List that may be answered from it."""
    _check_same(world, method, (hidden, missing), (its_name, other))


def _check_same(world: World, method: str, requests: tuple[object, object], names: tuple[str, str]) -> None:
    """Both are answered with the same code, message and details, but for the name."""
    outcomes = [
        world.call(
            method,
            request,  # type: ignore[arg-type] # a message
            by="mallory",
            extra=(("x-request-id", "same"), ("traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01")),
        )
        for request in requests
    ]
    hidden, missing = names
    assert outcomes[0].code is outcomes[1].code
    texts = [_anonymous(outcome.message, name) for outcome, name in zip(outcomes, (hidden, missing), strict=True)]
    assert texts[0] == texts[1]
    details = [
        _anonymous(str(outcome.details), name) for outcome, name in zip(outcomes, (hidden, missing), strict=True)
    ]
    assert details[0] == details[1]


def _unpacked(outcome: Outcome) -> str:
    """The details as text; as bytes they are in any order."""
    found = []
    for detail in outcome.details.details:
        message = symbol_database.Default().GetSymbol(detail.TypeName())()
        assert detail.Unpack(message)
        found.append(f"{detail.TypeName()}: {message}")
    return "\n".join(found)


def _anonymous(text: str, name: str) -> str:
    _, platform, _, cluster, *_ = name.split("/")
    return (
        text.replace(name, "NAME")
        .replace(f'"{platform}"', '"TAG"')
        .replace(cluster, "CLUSTER")
        .replace(platform, "TAG")
    )


def test_the_inventory_shows_to_each_what_it_has(world: World) -> None:
    """Or the attempts at it would prove nothing."""
    for who, text, count in (("alice", CANARY, 4), ("mallory", CANARY, 0), ("mallory", "own", 2), ("anna", CANARY, 4)):
        found = world.do("InventoryService/Search", request_of("InventoryService/Search", text=text), by=who)
        assert len([one for one in found.resources if text in one.display_name]) == count, (who, found)
    state = request_of("InventoryService/GetSyncState", parent=SECRET)
    assert world.do("InventoryService/GetSyncState", state, by="alice").visible_rows > 2


def test_the_table_and_the_files_hold_no_secret(world: World) -> None:
    """Logs, audit, database: no token, password or code in clear."""
    secrets = [
        *world.tokens.values(),
        world.issuer.keys[world.issuer.current].as_pem(private=True).decode().splitlines()[1],
    ]
    from tests.escapes.world import PASSWORD  # noqa: PLC0415

    for file in Path(world.folder).iterdir():
        data = file.read_bytes()
        for secret in (*secrets, PASSWORD):
            assert secret.encode() not in data, f"{file.name} holds a secret"
