"""What may be shown of a value: no password, token or key leaves the process through a log line.

`logs` runs `masked` over each event; whoever shows a message elsewhere (explain tree, console) calls `redacted`.
Three nets: fields that the proto marks `debug_redact`, names that say "secret", and texts in which such a name is
followed by a value.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf import message_factory, struct_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

M = TypeVar("M", bound=Message)

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor

MASK = "***"
# A value that contains itself must end somewhere; no honest log value nests deeper.
_MAX_DEPTH = 24

_SECRET_PARTS = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "private_key",
    "privatekey",
    "admin_pass",
    "adminpass",
    "user_data",
    "userdata",
    "authorization",
    "api_key",
    "apikey",
    "cookie",
)
_SECRET_NAMES = frozenset({"pass", "pwd", "otp", "totp", "session_id", "sessionid", "session_uuid", "sessionuuid"})
_OPEN_TOKENS = frozenset({"page_token", "next_page_token", "resume_token", "pagetoken", "nextpagetoken"})

# Cheap words that each text worth the regular expressions below contains, in lower case.
_HINTS = ("pass", "pwd", "secret", "token", "authoriz", "private", "user", "api", "cookie", "session", "bearer",
          "oauth", "gaaaa", "eyj", "://")  # fmt: skip

# Anchored to the start of a word: without it a long run of letters costs the square of its length.
_NAME = (
    r"(?<![\w.-])(?:[\w.-]*(?:passwords?|passwd|passphrase|secrets?|private[_-]?key|admin[_-]?pass|user[_-]?data"
    r"|api[_-]?key|token|session[_-]?(?:uu)?id)|pwd|pass)"
)
# Up to the quote that opened, which in JSON inside JSON is `\"`; an escaped quote inside is `\"` or `\\\"`.
_UP_TO_QUOTE = r"""(?:(?!(?P=quote))(?:\\{3}["']|\\.|.))*"""
# `--os-password x` of a command that was run.
_FLAG = r"(?<![\w-])--[\w-]*(?:password|secret|token)"
_HEADER = re.compile(
    # `Authorization: Bearer x`, `("Authorization", "x")`: to the closing quote or the end of the line.
    r"""(?is)(?P<name>(?<![\w-])[\w-]*(?:authorization|cookie)(?:\\*["'])?\s*[:=,]\s*b?)(?P<quote>\\*["'])?"""
    rf"""(?(quote){_UP_TO_QUOTE}|[^\r\n"'\\]*)"""
)
_ASSIGNED = re.compile(
    rf"""(?isx)(?P<name>(?:{_NAME} (?: \\*["']\s*[:=,] | \s*(?:[:=]|=?>) ) \s* | {_FLAG}\s+) (?:[\[(]\s*)?)
    (?: \{{[^{{}}]*\}} | [bru]{{0,2}}(?P<quote>\\*["']) {_UP_TO_QUOTE} (?:(?P=quote)|$)
      | (?:(?:bearer|basic|oauth|digest)\s+)? [^\s,;&"'\\)}}\]]+ )"""
)
_BARE = re.compile(
    r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|\bgAAAA[\w-]{20,}={0,2}|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
    r"|(?i:(?<=\bbearer )|(?<=\boauth ))[\w.~+/=-]{8,}"
)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a key of this name holds a secret: `x-auth-token` does, `page_token` does not."""
    plain = name.lower().replace("-", "_")
    if plain in _SECRET_NAMES or any(part in plain for part in _SECRET_PARTS):
        return True
    return plain.endswith("token") and plain not in _OPEN_TOKENS


def masked_text(text: str) -> str:
    """Return `text` with what is recognisably a secret in it masked."""
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS):
        return text
    text = _HEADER.sub(_keep_name, text)
    text = _ASSIGNED.sub(_mask_assigned, text)
    return _BARE.sub(MASK, text)


def _keep_name(match: re.Match[str]) -> str:
    return f"{match['name']}{match['quote'] or ''}{MASK}"


def _mask_assigned(match: re.Match[str]) -> str:
    name = re.split(r"""[\\"'\s:=,]""", match["name"], maxsplit=1)[0]
    if name.rpartition(".")[2].lower().replace("-", "_") in _OPEN_TOKENS:
        return match[0]
    quote = match["quote"] or ""
    return f"{match['name']}{quote}{MASK}{quote}"


def yaml_problem(error: Exception) -> str:
    """Return where a file of secrets can't be read, and never what stands there: a parser's own words quote it."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}, column {mark.column + 1} is not YAML; quote values with special characters"
    return "it is not YAML" if not isinstance(error, UnicodeDecodeError) else f"byte {error.start} is not UTF-8"


def masked(value: Any, depth: int = 0) -> Any:
    """Return `value` as plain data without secrets.

    Messages become dicts, bytes their length, and objects their repr, each masked.
    """
    kind = type(value)
    if kind is str:
        return masked_text(value)
    if value is None or kind in (bool, int, float):
        return value
    return _masked_nested(value, depth) if depth <= _MAX_DEPTH else "..."


def _masked_nested(value: Any, depth: int) -> Any:
    if isinstance(value, Message):
        return _shown(value, depth)
    if isinstance(value, Mapping):
        return masked_items(value, depth)
    if isinstance(value, (str, enum.Enum)):
        return masked_text(str(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    # A repr would print the fields' own reprs, and a message's holds what is marked `debug_redact`.
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return masked_items({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, depth)
    return _masked_sequence(value, depth) if isinstance(value, (Sequence, AbstractSet)) else masked_text(repr(value))


def _masked_sequence(value: Collection[Any], depth: int) -> Any:
    names = getattr(value, "_fields", None)
    if names:
        return masked_items(dict(zip(names, value, strict=True)), depth)
    items = list(value)
    # Headers travel as pairs.
    if len(items) == 2 and isinstance(items[0], (str, bytes)) and is_secret_name(_key(items[0])):
        return [_key(items[0]), MASK]
    return [masked(item, depth + 1) for item in items]


def _key(key: Any) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else str(key)


def masked_items(items: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
    """Return a dict with secret keys masked and the other values made showable."""
    return {_key(key): masked_item(_key(key), value, depth + 1) for key, value in items.items()}


def masked_item(name: str, value: Any, depth: int = 0) -> Any:
    """Return what may be shown of `value` under the key `name`."""
    # An absent secret is worth knowing, and neither None, a flag nor "" gives one away.
    if is_secret_name(name) and value is not None and value != "" and not isinstance(value, bool):
        return MASK
    return masked(value, depth)


def redacted(message: Message) -> dict[str, Any]:
    """Return the set fields of `message` as plain data, those marked `debug_redact` masked at any depth."""
    shown = _shown(message, 0)
    return shown if isinstance(shown, dict) else {"value": shown}


def has_secrets(message: Message) -> bool:
    """Whether a field marked `debug_redact` is set in `message`, at any depth and in what is packed in it."""
    return _clear_secrets(_copied(message))


def without_secrets(message: M) -> M:
    """Return a copy of `message` with every field marked `debug_redact` left out."""
    copy = _copied(message)
    _clear_secrets(copy)
    return copy


def _copied(message: M) -> M:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _clear_secrets(message: Message) -> bool:
    """Clear the marked fields; say whether there were any."""
    if message.DESCRIPTOR.full_name == AnyMessage.DESCRIPTOR.full_name:
        return _clear_packed(message)
    cleared = False
    for field, value in message.ListFields():
        if _rule(_value_field(field))[1] is _Kind.SECRET or _rule(field)[1] is _Kind.SECRET:
            message.ClearField(field.name)
            cleared = True
        elif _value_field(field).message_type is not None:
            nested = value.values() if _rule(field)[1] is _Kind.MAP else value if field.is_repeated else (value,)
            cleared = sum(_clear_secrets(part) for part in nested) > 0 or cleared
    return cleared


def _value_field(field: FieldDescriptor) -> FieldDescriptor:
    """A map's values have a field of their own."""
    entry = field.message_type
    return entry.fields_by_name["value"] if entry is not None and entry.GetOptions().map_entry else field


def _clear_packed(message: Any) -> bool:
    inner = _unpacked(message)
    if inner is None or not _clear_secrets(inner):
        return False
    message.value = inner.SerializeToString()
    return True


class _Kind(enum.Enum):
    SECRET = enum.auto()
    ENUM = enum.auto()
    MAP = enum.auto()
    PLAIN = enum.auto()


# Bounded: descriptors of adapters that come and go must not pile up.
@lru_cache(maxsize=4096)
def _plan(descriptor: Descriptor) -> dict[int, tuple[str, _Kind]]:
    return {field.number: _rule(field) for field in descriptor.fields}


@lru_cache(maxsize=256)
def _rule(field: FieldDescriptor) -> tuple[str, _Kind]:
    name = f"[{field.full_name}]" if field.is_extension else field.name
    if field.GetOptions().debug_redact:
        return name, _Kind.SECRET
    if field.enum_type is not None:
        return name, _Kind.ENUM
    nested = field.message_type
    return name, _Kind.MAP if nested is not None and nested.GetOptions().map_entry else _Kind.PLAIN


def _fields(message: Message, depth: int) -> dict[str, Any]:
    plan = _plan(message.DESCRIPTOR)
    shown = {}
    for field, value in message.ListFields():
        name, kind = plan.get(field.number) or _rule(field)
        shown[name] = _field(field, name, kind, value, depth + 1)
    return shown


def _field(field: FieldDescriptor, name: str, kind: _Kind, value: Any, depth: int) -> Any:
    if kind is _Kind.SECRET:
        return MASK
    if kind is _Kind.MAP:
        return _map(field, value, depth)
    if kind is _Kind.ENUM:
        return [_enum(field, v) for v in value] if field.is_repeated else _enum(field, value)
    if field.is_repeated:
        return MASK if is_secret_name(name) else [masked(item, depth) for item in value]
    if field.message_type is not None:
        # A message named `token` may hold its age beside the secret: its own fields decide.
        return _shown(value, depth)
    return masked_item(name, value, depth)


def _map(field: FieldDescriptor, value: Any, depth: int) -> dict[str, Any]:
    """A map is keyed by callers' words; the secret may be marked at the entry's value field."""
    entry = field.message_type
    if entry is not None and entry.fields_by_name["value"].GetOptions().debug_redact:
        return {str(key): MASK for key in value}
    return masked_items(value, depth)


def _enum(field: FieldDescriptor, number: int) -> str | int:
    values = field.enum_type.values_by_number if field.enum_type is not None else {}
    return values[number].name if number in values else number


def _shown(message: Message, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return "..."
    show = _WELL_KNOWN.get(message.DESCRIPTOR.full_name)
    return show(message, depth) if show else _fields(message, depth)


def _any(message: Any, depth: int) -> dict[str, Any]:
    shown: dict[str, Any] = {"@type": message.type_url}
    inner = _unpacked(message)
    if inner is None:
        # Without its descriptor nobody can say which of the bytes are secret.
        return {**shown, "value": f"<{len(message.value)} bytes>"}
    return {**shown, **_fields(inner, depth + 1)}


def _unpacked(message: Any) -> Message | None:
    """What an Any holds; None when nobody here knows its kind."""
    try:
        kind = message.DESCRIPTOR.file.pool.FindMessageTypeByName(message.type_url.rpartition("/")[2])
        inner: Message = message_factory.GetMessageClass(kind).FromString(message.value)
    except (KeyError, DecodeError):
        return None
    return inner


def _value(message: Any, depth: int) -> Any:
    kind = message.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    return masked(getattr(message, kind), depth)


def _list(message: Any, depth: int) -> list[Any]:
    return [_shown(item, depth + 1) for item in message.values]


def _time(message: Any, _depth: int) -> str:
    return str(message.ToJsonString())


_WELL_KNOWN = {
    AnyMessage.DESCRIPTOR.full_name: _any,
    struct_pb2.Struct.DESCRIPTOR.full_name: lambda message, depth: masked_items(message.fields, depth),
    struct_pb2.ListValue.DESCRIPTOR.full_name: _list,
    struct_pb2.Value.DESCRIPTOR.full_name: _value,
    Timestamp.DESCRIPTOR.full_name: _time,
    Duration.DESCRIPTOR.full_name: _time,
}
