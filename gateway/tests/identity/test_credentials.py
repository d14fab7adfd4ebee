"""Which credential a call brings, before anybody looks whether it is good."""

from __future__ import annotations

import pytest
from gateway.tests.calls import call

from cloudspan_common.errors import Unauthenticated
from cloudspan_gateway.identity.credentials import credential_of

PATH = "/cloudspan.v1.ServerService/GetServer"


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", "Bearer abc"),),
        (("authorization", "bearer  abc "),),
        (("authorization", "BEARER abc"),),
        (("x-auth-session", "abc"),),
    ],
)
def test_a_token_comes_by_one_of_two_names(metadata):
    """Its repr, which might reach a log, does not show it."""
    found = credential_of(call(PATH, metadata=(("x-tenant", "acme"), *metadata)))
    assert found.token == "abc"
    assert repr(found) == f"Credential(key={metadata[0][0]!r})"


def test_a_call_without_one_brings_none():
    """Neither does a cookie count, nor a name that only looks alike."""
    others = (("cookie", "session=abc"), ("x-authorization", "Bearer abc"), ("authorization-bin", b"Bearer abc"))
    assert credential_of(call(PATH, metadata=others)) is None


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", "Bearer a"), ("authorization", "Bearer a")),
        (("authorization", "Bearer a"), ("x-auth-session", "b")),
        (("x-auth-session", "a"), ("x-auth-session", "b")),
        (("authorization", "Basic YWxpY2U6cGFzc3dvcmQ="),),
        (("authorization", "abc"),),
        (("authorization", "Bearer"),),
        (("authorization", "Bearer "),),
        (("authorization", ""),),
        (("authorization", "Bearer a b"),),
        (("authorization", "Bearer a,Bearer b"), ("x-auth-session", "")),
        (("authorization", "Bearer\tabc"),),
        (("authorization", "Bearer a\u00adb"),),
        (("x-auth-session", ""),),
    ],
)
def test_two_credentials_or_half_of_one_are_refused_and_never_repeated(metadata):
    """No guess which was meant; and the message does not show what may be a secret."""
    with pytest.raises(Unauthenticated) as refused:
        credential_of(call(PATH, metadata=metadata))
    assert "YWxp" not in refused.value.message
    assert "send" in refused.value.message
