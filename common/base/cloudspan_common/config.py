"""One frozen dataclass per service becomes its command line, its environment and `--print-config`.

Each service declares its fields with `option`; `service.run` turns them into a click command with `config_command`.

    @dataclass(frozen=True)
    class GatewayConfig:
        \"\"\"Cloudspan gateway.\"\"\"
        listen: str = option("gRPC address to listen on", default="127.0.0.1:7070", check=address)
"""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
ENV_PREFIX = "CLOUDSPAN"
MASK = "***"
_METADATA_KEY = "cloudspan.option"
_PRINT_CONFIG = "print_config"
_MAX_PORT = 65_535


@dataclasses.dataclass(frozen=True, slots=True)
class OptionSpec:
    """What `option` says about a field beside its type and default."""

    help: str
    unit: str = ""
    env: str = ""
    flag: str = ""
    secret: bool = False
    minimum: float | None = None
    check: Callable[[Any], object] | None = None


def option(help: str, *, default: T, **spec: Any) -> T:  # noqa: A002 - click calls it help, and so does every reader
    """Return a dataclass field with a sentence, a default and what else `OptionSpec` holds.

    Args:
        help: One sentence for `--help`.
        default: The value on a laptop with nothing installed.
        spec: `unit` of the value, which the option's name leaves out (`drain_s` in s is `--drain`); `env` and `flag`
            where the names made from the field's don't do; `secret` masks the value wherever it is shown; `minimum`
            for numbers; `check` raises ValueError on a bad value.
    """
    metadata = {_METADATA_KEY: OptionSpec(help, **spec)}
    return dataclasses.field(default=default, metadata=metadata)


def address(text: str) -> tuple[str, int]:
    """Return host and port of `host:port`, `[v6]:port` or `:port` (all IPv4 interfaces).

    gRPC itself takes port 99999 and listens on 34463, so addresses are read here first.

    Raises:
        ValueError: Another form, or a port beyond 65535.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > _MAX_PORT:
        raise ValueError(f"{text!r} is not an address; expected host:port with a port of 0 to {_MAX_PORT}")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"{text!r} is not an address; write an IPv6 host in brackets, as in [::1]:7070")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - what `:port` asks for


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone: 127.0.0.0/8, ::1 or localhost; any other name counts as another host's."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class _ListItem(click.ParamType[str]):
    """An item of a repeatable option; the environment separates items by commas."""

    name = "text"
    envvar_list_splitter: ClassVar[str] = ","

    def convert(self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None) -> str:
        return str(value).strip()


class _Number(click.FloatRange):
    """A finite number: `nan` passes every range check, and `inf` breaks timers."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def config_command(
    config_type: type[T], body: Callable[[T], object], *, name: str | None = None, env_prefix: str = ENV_PREFIX
) -> click.Command:
    """Return the command that reads a `config_type` from command line, environment and defaults, and calls `body`.

    The help text is the docstring of `config_type`. A bad value ends in click's usage error that names the option;
    a ValueError of `__post_init__` (fields that contradict each other) in a usage error with its text.
    """
    fields = tuple(_fields(config_type))

    def callback(**values: Any) -> None:
        context = click.get_current_context()
        show = values.pop(_PRINT_CONFIG)
        try:
            config = config_type(**values)
        except ValueError as error:
            raise click.UsageError(str(error), context) from error
        if show:
            click.echo("\n".join(_described(config, fields, context, env_prefix)))
            return
        body(config)

    params: list[click.Parameter] = [_click_option(f, spec, hint, env_prefix) for f, spec, hint in fields]
    shown = "Print the effective values, and where each came from, and exit."
    params.append(click.Option([f"--{_PRINT_CONFIG.replace('_', '-')}"], is_flag=True, help=shown))
    doc = (config_type.__doc__ or "").strip()
    return click.Command(name or config_type.__name__, callback=callback, params=params, help=doc)


def _fields(config_type: type[Any]) -> Iterator[tuple[dataclasses.Field[Any], OptionSpec, Any]]:
    parameters = getattr(config_type, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise TypeError(f"{config_type.__name__} must be a frozen dataclass: configuration does not change at run time")
    hints = get_type_hints(config_type)
    for field in dataclasses.fields(config_type):
        if _METADATA_KEY not in field.metadata:
            raise TypeError(f"{config_type.__name__}.{field.name} must be declared with option(...)")
        yield field, field.metadata[_METADATA_KEY], hints[field.name]


def _click_option(field: dataclasses.Field[Any], spec: OptionSpec, hint: Any, env_prefix: str) -> click.Option:
    repeatable = get_origin(hint) is tuple
    flag = spec.flag or "--" + _name(field, spec).replace("_", "-")
    if hint is bool:
        flag += "/--no-" + flag.removeprefix("--")
    return click.Option(
        [field.name, flag],
        type=_ListItem() if repeatable else _click_type(hint, spec),
        multiple=repeatable,
        default=field.default,
        envvar=_env(field, spec, env_prefix),
        help=f"{spec.help} [{spec.unit}]" if spec.unit else spec.help,
        # click shows the default's value, and a secret has none to show.
        show_default=not spec.secret,
        show_envvar=True,
        callback=_checked(spec),
    )


def _click_type(hint: Any, spec: OptionSpec) -> click.ParamType[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    if hint is int:
        return click.IntRange(min=None if spec.minimum is None else math.ceil(spec.minimum))
    if hint is float:
        return _Number(min=spec.minimum)
    plain: dict[Any, click.ParamType[Any]] = {str: click.STRING, bool: click.BOOL, Path: click.Path(path_type=Path)}
    if hint not in plain:
        raise TypeError(
            f"{hint!r} can't be the type of a configuration value; use str, int, float, bool, Path, tuple of str"
        )
    return plain[hint]


def _checked(spec: OptionSpec) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def callback(context: click.Context, param: click.Parameter, value: Any) -> Any:
        if spec.check is None or value is None:
            return value
        try:
            for item in value if isinstance(value, tuple) else (value,):
                spec.check(item)
        except ValueError as error:
            raise click.BadParameter(str(error), context, param) from error
        return value

    return callback


def _name(field: dataclasses.Field[Any], spec: OptionSpec) -> str:
    """What the option is called: the field's name without its unit, which the help text and the value show."""
    return field.name.removesuffix(f"_{spec.unit}") if spec.unit else field.name


def _env(field: dataclasses.Field[Any], spec: OptionSpec, env_prefix: str) -> str:
    return spec.env or f"{env_prefix}_{_name(field, spec).upper()}"


_SOURCES = {
    click.core.ParameterSource.COMMANDLINE: "command line",
    click.core.ParameterSource.ENVIRONMENT: "environment",
    click.core.ParameterSource.DEFAULT: "default",
}


def _described(
    config: Any,
    fields: tuple[tuple[dataclasses.Field[Any], OptionSpec, Any], ...],
    context: click.Context,
    env_prefix: str,
) -> Iterator[str]:
    """One line a value: `listen = 127.0.0.1:7070  # default; CLOUDSPAN_LISTEN`."""
    for field, spec, _hint in fields:
        source = context.get_parameter_source(field.name)
        origin = _SOURCES.get(source, "default") if source else "default"
        value = _shown(getattr(config, field.name), spec)
        yield f"{_name(field, spec)} = {value}  # {origin}; {_env(field, spec, env_prefix)}"


def _shown(value: Any, spec: OptionSpec) -> str:
    if value in (None, "", ()):
        return "(none)"
    if spec.secret:
        return MASK
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return f"{text} {spec.unit}".rstrip()
