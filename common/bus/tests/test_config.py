"""What the bus is started with, and what it refuses to start with."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from cloudspan_bus.config import BusConfig
from cloudspan_common.config import config_command


def shown(*words: str, code: int = 0, **environment: str) -> str:
    result = CliRunner().invoke(config_command(BusConfig, print), [*words, "--print-config"], env=environment)
    assert result.exit_code == code, result.output
    return result.output


def test_the_brokers_password_is_never_shown():
    """Neither from the command line nor from the environment, nor where the URL is wrong."""
    assert "s3cret" not in shown("--broker", "rabbit://u:s3cret@h:5672/v")
    assert "s3cret" not in shown(CLOUDSPAN_BROKER="rabbit://u:s3cret@h:5672/v")
    for wrong in ("amqp://u:s3cret@h/", "rabbit://u:s3cret@h:port/", "rabbit://u:s3cret@/v", "s3cret"):
        assert "s3cret" not in shown("--broker", wrong, code=2)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--gateway", "gateway.example:7070"), "plain text"),
        (("--max-wait", "2000"), "30 minutes"),
        (("--max-wait", "1500", "--reply-for", "300"), "30 minutes"),
        (("--retry-for", "1800"), "30 minutes"),
        (("--host", "dead"), "queue"),
        (("--host", "fanout"), "queue"),
        (("--host", "expired"), "queue"),
        (("--topic", "a b"), "not a name"),
        (("--host", "#"), "not a name"),
        (("--gateway", "nowhere"), "not an address"),
    ],
)
def test_what_can_not_work_is_refused_with_what_to_do(words, part):
    """At the start, not at the first message."""
    assert part in " ".join(shown(*words, code=2).split())


def test_a_gateway_elsewhere_needs_tls_or_a_word(tmp_path):
    """Messages bring credentials."""
    assert "gateway_tls = True" in shown("--gateway", "gateway.example:7070", "--gateway-tls")
    assert "gateway_insecure = True" in shown("--gateway", "gateway.example:7070", "--gateway-insecure")


def test_neither_eventlet_nor_the_gateway_is_in_the_process():
    """oslo.service would take eventlet unless it is told otherwise; and callers' errors need nothing at all."""
    code = "import sys; import cloudspan_bus.app; print(sorted(m for m in sys.modules if m in {NAMES}))"
    names = "('eventlet', 'cloudspan_gateway', 'cloudspan_kit', 'cloudspan.cli')"
    run = (sys.executable, "-W", "error", "-c", code.replace("{NAMES}", names))
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == "[]"
    alone = "import sys; import cloudspan_bus.errors; print(any(m.startswith(('oslo', 'grpc')) for m in sys.modules))"
    run = (sys.executable, "-W", "error", "-c", alone)
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == "False"
