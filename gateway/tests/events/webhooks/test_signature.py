"""Signatures as Standard Webhooks has them, checked by its own library."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway.events.webhooks import signature

BODY = b'{"id":"1","text":"\xc3\xa9"}'


def test_a_receiver_verifies_what_is_signed() -> None:
    secret = signature.new_secret()
    headers = signature.headers("id-1", time.time(), BODY, [secret])
    Webhook(signature.shown(secret)).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(signature.shown(secret)).verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(signature.shown(signature.new_secret())).verify(BODY, headers)


def test_either_of_two_secrets_verifies() -> None:
    """While a receiver changes from one to the other."""
    secrets = [signature.new_secret(), signature.new_secret()]
    headers = signature.headers("id-1", time.time(), BODY, secrets)
    for secret in secrets:
        Webhook(signature.shown(secret)).verify(BODY, headers)


def test_a_chosen_secret_is_taken_as_it_is_shown() -> None:
    secret = signature.new_secret()
    assert signature.secret_of(signature.shown(secret)) == secret


def test_the_receiver_of_the_page_knows_a_genuine_request() -> None:
    """As it stands in docs/events.md; one that was sent before is none for ever."""
    page = (Path(__file__).parents[4] / "docs" / "events.md").read_text()
    (block,) = [found for found in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def is_genuine(" in found]
    names: dict[str, Any] = {}
    exec(compile(block, "docs/events.md", "exec"), names)  # noqa: S102 - of this repository
    secrets = [signature.new_secret(), signature.new_secret()]
    headers = signature.headers("id-1", time.time(), BODY, secrets)
    for secret in secrets:
        assert names["is_genuine"](signature.shown(secret), headers, BODY)
    assert not names["is_genuine"](signature.shown(signature.new_secret()), headers, BODY)
    assert not names["is_genuine"](signature.shown(secrets[0]), headers, BODY + b" ")
    old = signature.headers("id-1", time.time() - 1000, BODY, secrets)
    assert not names["is_genuine"](signature.shown(secrets[0]), old, BODY)


@pytest.mark.parametrize("text", ["x", "whsec_", "whsec_!!!!", "whsec_QUJD", "whsec_" + "A" * 100, "secret", "whsec_é"])
def test_a_secret_that_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        signature.secret_of(text)
    assert refused.value.reason == "BAD_WEBHOOK_SECRET"
    assert len(text) < 7 or text not in str(refused.value)
