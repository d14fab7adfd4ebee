"""No attempt to get at what one may not succeeds, and none learns from the answer whether it is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.escapes import credentials, policies, sides, tenants
from tests.escapes.attempt import Attempt
from tests.escapes.world import CANARY, OWN, SECRET, VAULT, World, request_of

from cloudspan_common import contract

ATTEMPTS = [
    *credentials.SESSIONS, *credentials.JWTS, *credentials.LOGINS,
    *tenants.GETS, *tenants.LISTS, *tenants.RESOURCES, *tenants.OPERATIONS, *policies.POLICY, *sides.SIDES,
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
    for secret in (CANARY, "inc.", *world.tokens.values()):
        assert secret not in seen, f"{secret} in {seen[:600]}"
    for place in ("acme-main", "vault", "deep"):
        # What the caller said itself may come back in an error; nothing else may name it.
        assert outcome.code is not outcome.code.OK or place not in seen, f"{place} in {seen[:600]}"


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
    outcomes = [
        world.call(
            method,
            _filled(asked, name),
            by="mallory",
            extra=(("x-request-id", "same"), ("traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01")),
        )
        for name in (hidden, missing)
    ]
    assert outcomes[0].code is outcomes[1].code
    texts = [_anonymous(outcome.message, name) for outcome, name in zip(outcomes, (hidden, missing), strict=True)]
    assert texts[0] == texts[1]
    details = [
        _anonymous(str(outcome.details), name) for outcome, name in zip(outcomes, (hidden, missing), strict=True)
    ]
    assert details[0] == details[1]


def _anonymous(text: str, name: str) -> str:
    _, platform, _, cluster, *_ = name.split("/")
    return re.sub(rf"\b({platform}|{cluster})\b", "NAME", text).replace(name, "NAME")


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
