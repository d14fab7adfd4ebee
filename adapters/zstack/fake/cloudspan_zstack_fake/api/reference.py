"""What the API reference says of each call: where it is, what it takes, and whether a request fits.

`gate` asks which call a request is, and checks its parameters; `query` asks for the fields of an inventory.
The data is `calls.json`, cut out of the full reference by `excerpt`.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan_zstack_fake.wire import BadRequest, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudspan_kit.fakes.wire import Json

EXCERPT = Path(__file__).with_name("calls.json")
_VALIDATOR = "org.zstack.header.message.ApiMessageParamValidator"
_UUID = re.compile("[0-9a-f]{12}[1-5][0-9a-f]{3}[89ab][0-9a-f]{15}")


class Param(msgspec.Struct, frozen=True, rename="camel"):
    """One parameter of a call."""

    name: str
    type: str
    where: str
    required: bool = False
    enum: tuple[str | int, ...] = ()
    default: str | None = None
    range: tuple[int, int] | None = None
    max_length: int = 0
    regex: str = ""


class Api(msgspec.Struct, frozen=True, rename="camel"):
    """One call."""

    name: str
    category: str
    method: str
    mode: str
    paths: tuple[str, ...]
    auth: bool
    params: tuple[Param, ...]
    response: dict[str, str]
    body_key: str = ""
    action_key: str = ""
    success_if_gone: bool = False
    default_timeout_seconds: int = 1800
    edition: str = ""
    alone: tuple[str, ...] = ()
    """Of the paths those that no other call of the full reference has."""

    @property
    def is_async(self) -> bool:
        return self.mode == "async"

    @property
    def inventory(self) -> str:
        """Name of the rows that it answers; empty when it answers something else."""
        several = self.response.get("inventories", "")
        return several.removesuffix("[]") if several.endswith("[]") else self.response.get("inventory", "")


class _Excerpt(msgspec.Struct):
    calls: tuple[Api, ...]
    inventories: dict[str, dict[str, str]]


@functools.cache
def _excerpt() -> _Excerpt:
    return msgspec.json.decode(EXCERPT.read_bytes(), type=_Excerpt)


class Reference:
    """The calls of one installation: a commercial one knows them all, an open-source one only some."""

    def __init__(self, *, commercial: bool = True) -> None:
        excerpt = _excerpt()
        self.inventories: Mapping[str, Mapping[str, str]] = excerpt.inventories
        self.calls = {api.name: api for api in excerpt.calls if commercial or not api.edition}
        self._by_length: dict[int, list[tuple[tuple[str, ...], Api]]] = {}
        for api in self.calls.values():
            for path in api.paths:
                parts = tuple(path.strip("/").split("/"))
                self._by_length.setdefault(len(parts), []).append((parts, api))

    def __repr__(self) -> str:
        return f"<Reference: {len(self.calls)} calls>"

    def find(self, method: str, path: str, keys: Iterable[str]) -> tuple[Api, dict[str, str]]:
        """Return the call of a request and the values in its path; `keys` are those of its body.

        Raises:
            BadRequest: 404 for an unknown path and for PATCH, 405 for another wrong method, 400 for no known action.
        """
        given = tuple(path.strip("/").split("/"))
        at_path = _most_literal(given, self._by_length.get(len(given), ()))
        if not at_path:
            raise BadRequest(f"no api mapping to {path}", 404)
        if method == "PATCH":
            raise BadRequest("", 404)
        parts, api = _alone(at_path) or _by_method(at_path, method, set(keys), path)
        values = {want[1:-1]: got for want, got in zip(parts, given, strict=True) if want[0] == "{"}
        return api, values


def _most_literal(
    given: tuple[str, ...], known: Iterable[tuple[tuple[str, ...], Api]]
) -> list[tuple[tuple[str, ...], Api]]:
    """Return the calls whose path fits, of those the ones with the fewest variables: `/nics` goes before `/{uuid}`."""
    fits = [
        (sum(want[0] != "{" for want in parts), parts, api)
        for parts, api in known
        if all(want == got or want[0] == "{" for want, got in zip(parts, given, strict=True))
    ]
    best = max((literals for literals, _, _ in fits), default=0)
    return [(parts, api) for literals, parts, api in fits if literals == best]


def _alone(at_path: list[tuple[tuple[str, ...], Api]]) -> tuple[tuple[str, ...], Api] | None:
    """Return the call that has its path to itself: the server looks neither at the method nor at the body's keys."""
    parts, api = at_path[0]
    return (parts, api) if f"/{'/'.join(parts)}" in api.alone else None


def _by_method(
    at_path: list[tuple[tuple[str, ...], Api]], method: str, keys: set[str], path: str
) -> tuple[tuple[str, ...], Api]:
    candidates = [(parts, api) for parts, api in at_path if api.method == method]
    if not candidates:
        raise BadRequest(f"the method[{method}] is not allowed for {path}", 405)
    return _by_action(candidates, keys, path)


def _by_action(candidates: list[tuple[tuple[str, ...], Api]], keys: set[str], path: str) -> tuple[tuple[str, ...], Api]:
    for parts, api in candidates:
        if not api.action_key or api.action_key in keys:
            return parts, api
    raise BadRequest(f"the body doesn't contain action mapping to the URL[{path}]")


def bind(api: Api, path_params: Mapping[str, str], query: list[tuple[str, str]], body: Json) -> Json:
    """Return the parameters of a request by name, converted; those not given and without default are left out.

    Raises:
        BadRequest: A number or boolean is something else, or the body has the wrong shape.
    """
    inner = body.get(api.body_key) if api.body_key else {}
    inner = {} if inner is None else inner
    if not isinstance(inner, dict):
        raise BadRequest(f"the value of {api.body_key} must be an object")
    bound = {}
    for param in api.params:
        value = _given(param, path_params, query, inner, body)
        if value is None and param.default is not None:
            value = param.default
        if value is not None:
            bound[param.name] = _converted(param, value)
    return bound


def _given(param: Param, path_params: Mapping[str, str], query: list[tuple[str, str]], inner: Json, body: Json) -> Any:
    if param.where == "path":
        return path_params.get(param.name)
    if param.where == "query":
        return _from_query(param, query)
    if param.where == "body-top":
        return body.get(param.name, inner.get(param.name))
    return inner.get(param.name)


def _from_query(param: Param, query: list[tuple[str, str]]) -> Any:
    if not param.type.endswith("[]"):
        return next((value for key, value in query if key == param.name), None)
    listed = re.compile(rf"{param.name}(\.\d+)?")
    return [value for key, value in query if listed.fullmatch(key)] or None


def _converted(param: Param, value: Any) -> Any:
    if param.type in ("int", "long"):
        return _number(param, value)
    if param.type == "boolean":
        if str(value).lower() not in ("true", "false"):
            raise BadRequest(f"{param.name} is a boolean, but got {value!r}")
        return str(value).lower() == "true"
    if param.type.endswith("[]"):
        if not isinstance(value, list):
            raise BadRequest(f"{param.name} is a list, but got {value!r}")
        return [_number(param, item) for item in value] if param.type == "long[]" else value
    if param.type == "string":
        if isinstance(value, (dict, list)):
            raise BadRequest(f"{param.name} is a string, but got {value!r}")
        return str(value).strip()  # as the server does with every text
    return value


def _number(param: Param, value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"-?\d+(\.0)?", str(value)):
        if param.where == "query":
            raise BadRequest(f"Invalid query parameter. '{param.name}' must be an integer")
        raise BadRequest(f"{param.name} is a number, but got {value!r}")
    return int(float(str(value))) if "." in str(value) else int(value)


def check(api: Api, params: Json) -> None:
    """Refuse parameters that the API's own annotations refuse; for an asynchronous call this fails its job.

    Raises:
        Failure: SYS.1007, naming the field.
    """
    for param in api.params:
        if param.name not in params:
            if param.required:
                raise _invalid(param, "is mandatory, can not be null")
            continue
        _check_value(param, params[param.name])
        if param.name == "resourceUuid" and not param.required and not well_formed(params[param.name]):
            raise _invalid_uuid(params[param.name])


def _invalid_uuid(uuid: str) -> Failure:
    return Failure("SYS.1007", f"resourceUuid[{uuid}] is not a valid uuid. A valid uuid is a UUID(v4 recommended)")


def _check_value(param: Param, value: Any) -> None:
    if param.enum and str(value) not in {str(choice) for choice in param.enum}:
        choices = ", ".join(str(choice) for choice in param.enum)
        text = f"valid value for field[{param.name}] of message[{_VALIDATOR}] are [{choices}], but {value} found"
        raise Failure("SYS.1007", text)
    if param.range and not param.range[0] <= value <= param.range[1]:
        raise Failure("SYS.1007", f"field[{param.name}] must be in range of {list(param.range)}")
    if param.max_length and isinstance(value, str) and len(value) > param.max_length:
        raise _invalid(param, f"exceeds the max length of {param.max_length} characters")
    if param.regex and not re.search(param.regex, str(value)):
        raise _invalid(param, f"is {value!r}, must match {param.regex}")


def _invalid(param: Param, text: str) -> Failure:
    return Failure("SYS.1007", f"field[{param.name}] of message[{_VALIDATOR}] {text}")


def well_formed(uuid: str) -> bool:
    """Whether a uuid could name a resource; all zeros could not."""
    return bool(_UUID.fullmatch(uuid))
