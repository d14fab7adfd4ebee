"""What the configuration refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway import app
from cloudspan_gateway.config import GatewayConfig
from cloudspan_gateway.operations.config import MIN_LEASE_S, OperationsConfig
from cloudspan_kit.engine.run import MIN_WRITE_S


@pytest.mark.parametrize("claim", ["openstack", "openstack=", "Open Stack=adapter.example", "=adapter.example"])
def test_a_malformed_claim_is_refused_at_the_start(claim):
    """A claim is PLATFORM=IDENTITY."""
    with pytest.raises(ValueError, match="is not a claim"):
        GatewayConfig(claim=(claim,)).claims  # noqa: B018 - the property is what raises


def refusal(**options):
    """Why a gateway with these options does not start."""
    with pytest.raises(InvalidRequest) as refused:
        app.build(GatewayConfig(registry="memory:", database="memory:", **options))
    assert refused.value.reason == "BAD_AUTH_CONFIG"
    return refused.value.message


@pytest.mark.parametrize(
    "listen",
    [
        "0.0.0.0:7070",
        ":7070",
        "[::]:7070",
        "10.0.0.1:7070",
        "gateway.example:7070",
        "[::ffff:10.0.0.1]:0",
        "127.0.0.1.nip.io:0",
    ],
)
def test_a_gateway_that_others_can_reach_does_not_start_without_a_word_about_its_callers(listen):
    """One line that says what to do; either word will do."""
    assert "--auth sessions, jwt or mtls), listen on 127.0.0.1, or confirm it with --insecure" in refusal(listen=listen)
    GatewayConfig(listen=listen, insecure=True).check_callers()
    GatewayConfig(listen=listen, auth=("sessions",)).check_callers()


@pytest.mark.parametrize("listen", ["127.0.0.1:7070", "127.8.9.1:0", "[::1]:7070", "localhost:7070", "LocalHost:0"])
def test_on_loopback_a_gateway_starts_open(listen):
    """As `make up` does."""
    GatewayConfig(listen=listen).check_callers()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"auth": ("mtls",)}, "--auth mtls needs --tls-listen mutual"),
        ({"auth": ("sessions",), "insecure": True}, "leave one out"),
        ({"oidc_issuer": "https://login.example"}, "need --auth jwt"),
        ({"auth": ("jwt",)}, "--auth jwt needs --oidc-issuer"),
        ({"auth": ("jwt",), "oidc_jwks": "https://login.example/keys"}, "--auth jwt needs --oidc-issuer"),
        ({"auth": ("jwt",), "oidc_issuer": "https://login.example"}, "--auth jwt needs --oidc-audience"),
    ],
)
def test_half_of_a_configuration_for_callers_is_refused(options, why):
    """It would look like a safe one."""
    assert why in refusal(**options)


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example",
        "http://127.0.0.1.login.example",
        "http://localhost@login.example",
        "https://user:password@login.example",
        "https://",
        "https://login.example:0",
        "https://login.example:99999",
        "https://login example",
        "https://login.example/#keys",
        "https://login\n.example",
        "https://lögin.example",
        "file:///etc/passwd",
        "login.example",
    ],
)
def test_an_issuer_is_asked_over_https_or_on_this_machine_only(url):
    """Whoever can change the answer makes keys that count."""
    jwt = {"auth": ("jwt",), "oidc_audience": "cloudspan"}
    assert "--oidc-issuer" in refusal(**jwt, oidc_issuer=url)
    assert "--oidc-jwks" in refusal(**jwt, oidc_issuer="https://login.example", oidc_jwks=url)
    for good in (
        "https://login.example/realms/main",
        "http://127.0.0.1:9000",
        "http://[::1]:9000/x",
        "http://localhost",
    ):
        GatewayConfig(**jwt, oidc_issuer=good).check_callers()


def test_a_gateway_that_refuses_to_start_says_it_in_one_line():
    """And exits with 1, before it opens anything."""
    words = [sys.executable, "-m", "cloudspan_gateway", "--listen", "0.0.0.0:0", "--database", "memory:"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("Error: --listen 0.0.0.0:0 can be reached from other machines")


def test_a_lease_that_leaves_no_time_for_a_write_is_refused():
    """Adapters send none with less than two seconds left, and a step may take two thirds of the lease."""
    assert OperationsConfig(lease_s=MIN_LEASE_S).step_timeout_s >= 1.5 * MIN_WRITE_S
    words = (sys.executable, "-m", "cloudspan_gateway", "--lease", "3")
    ended = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, "x>=4.5" in ended.stderr) == (2, True)
