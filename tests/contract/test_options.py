"""One option for one thing: what two processes have in common has the same name, words, type and variable on both."""

from __future__ import annotations

import dataclasses

import click
import pytest
from click.testing import CliRunner

from cloudspan.cli import clusters
from cloudspan_bus.config import BusConfig
from cloudspan_common.config import config_command
from cloudspan_common.service_config import ServiceConfig
from cloudspan_gateway.config import GatewayConfig
from cloudspan_kit import AdapterConfig
from cloudspan_kit.fakes import program
from cloudspan_memory.__main__ import MemoryConfig
from cloudspan_openstack.config import OpenStackConfig
from cloudspan_template.__main__ import TemplateConfig
from cloudspan_zstack.config import ZStackConfig

ADAPTERS = (MemoryConfig, OpenStackConfig, TemplateConfig, ZStackConfig)
SERVICES = (GatewayConfig, BusConfig, *ADAPTERS)
# What a cluster is named by is the platform's own; which file is meant differs in its default alone.
_OWN_WORDS = {"cluster"}


def _options(config):
    return {param.name: param for param in config_command(config, print).params if isinstance(param, click.Option)}


def test_an_option_that_two_processes_have_is_the_same_on_both():
    """Name, variable, unit, sentence, kind of value, and whether it is repeated."""
    seen: dict[str, set[tuple[object, ...]]] = {}
    for config in SERVICES:
        for name, param in _options(config).items():
            words = "" if name in _OWN_WORDS else param.help.replace("clouds.yaml", "file").partition(";")[0]
            facts = (*param.opts, param.envvar, words, param.type.name, param.multiple)
            seen.setdefault(name, set()).add(facts)
    shapes = {name: facts for name, facts in seen.items() if len(facts) > 1 and name != "clouds"}
    assert shapes == {}
    assert {fact[:2] for fact in seen["clouds"]} == {("--clouds", "CLOUDSPAN_CLOUDS")}


@pytest.mark.parametrize("config", SERVICES)
def test_every_process_has_the_common_options_and_none_with_a_unit_in_its_name(config):
    """`--help` shows the unit behind the sentence; `--print-config` is everywhere."""
    options = _options(config)
    common = {field.name for field in dataclasses.fields(ServiceConfig)}
    assert common <= options.keys()
    assert "print_config" in options
    assert [opt for param in options.values() for opt in param.opts if opt.endswith(("-s", "-ms", "-mib"))] == []


@pytest.mark.parametrize("config", ADAPTERS)
def test_every_adapter_has_the_options_of_adapters_and_is_told_its_clusters_by_one_name(config):
    """`--cluster`, as often as there are clusters."""
    options = _options(config)
    assert {field.name for field in dataclasses.fields(AdapterConfig)} <= options.keys()
    assert options["cluster"].multiple
    assert options["platform"].help == "Platform tag to serve."


def test_the_command_line_names_files_for_tls_as_the_processes_do():
    """The variables too: an environment serves for both."""
    shown = CliRunner().invoke(clusters.platforms, ["--help"], terminal_width=200).output
    for what in ("authority", "certificate", "key"):
        assert f"--tls-{what}" in shown
        assert f"CLOUDSPAN_TLS_{what.upper()}" in shown


def test_a_fake_cloud_is_told_where_to_listen_as_everything_else_is(capsys):
    """One word with host and port, checked before anything is made."""
    parser = program.parser("fake", None, name="alpha", port=7090, token_ttl_s=1.0)
    assert parser.parse_args(["--listen", "[::1]:80"]).listen == ("::1", 80)
    assert program.settings(parser.parse_args([]))["port"] == 7090
    with pytest.raises(SystemExit):
        parser.parse_args(["--listen", "127.0.0.1:99999"])
    assert "is not an address; expected host:port" in capsys.readouterr().err
