"""What is written for an event, and that no secret is in it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
import structlog
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, struct_pb2, timestamp_pb2
from multidict import MultiDict

from cloudspan_common import logs

CANARY = "c4n4ry-X9"
TEXT, NUMBER, MESSAGE, ENUM, BYTES = 9, 5, 11, 14, 12
ONE, MANY = 1, 3


@pytest.fixture
def output():
    """Log to a buffer at debug level as JSON, and leave logging as it was."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    stream = io.StringIO()
    logs.configure("debug", "json", stream)
    yield stream
    root.handlers, level = before
    root.setLevel(level)
    structlog.reset_defaults()
    logs._calls = None
    structlog.contextvars.clear_contextvars()


def lines(output: io.StringIO) -> list[dict]:
    """Return the events written."""
    return [json.loads(line) for line in output.getvalue().splitlines()]


def _field(name, number, kind, label=ONE, secret=False, type_name=None):
    field = descriptor_pb2.FieldDescriptorProto(name=name, number=number, type=kind, label=label)
    if type_name:
        field.type_name = type_name
    if secret:
        field.options.debug_redact = True
    return field


def _login_file() -> descriptor_pb2.FileDescriptorProto:
    imports = ["google/protobuf/any.proto", "google/protobuf/struct.proto", "google/protobuf/timestamp.proto"]
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3", dependency=imports)
    file.enum_type.add(name="Kind", value=[{"name": "NONE", "number": 0}, {"name": "FULL", "number": 1}])
    login = file.message_type.add(name="Login")
    login.field.extend(
        [
            _field("user", 1, TEXT),
            _field("cloud_init", 2, TEXT, secret=True),
            _field("seeds", 3, BYTES, MANY, secret=True),
            _field("next", 4, MESSAGE, type_name=".t.Login"),
            _field("others", 5, MESSAGE, MANY, type_name=".t.Login"),
            _field("detail", 6, MESSAGE, type_name=".google.protobuf.Any"),
            _field("options", 7, MESSAGE, type_name=".google.protobuf.Struct"),
            _field("metadata", 8, MESSAGE, MANY, type_name=".t.Login.MetadataEntry"),
            _field("kind", 9, ENUM, type_name=".t.Kind"),
            _field("at", 10, MESSAGE, type_name=".google.protobuf.Timestamp"),
            _field("admin_password", 11, TEXT),
            _field("page_token", 12, TEXT),
            _field("sealed", 13, MESSAGE, secret=True, type_name=".t.Login"),
            _field("by_name", 14, MESSAGE, MANY, type_name=".t.Login.ByNameEntry"),
            _field("blob", 15, BYTES),
        ]
    )
    for name, kind, type_name in (("MetadataEntry", TEXT, None), ("ByNameEntry", MESSAGE, ".t.Login")):
        entry = login.nested_type.add(name=name, options={"map_entry": True})
        entry.field.extend([_field("key", 1, TEXT), _field("value", 2, kind, type_name=type_name)])
    return file


@pytest.fixture(scope="module")
def login():
    """A message class with fields marked `debug_redact`, in a pool of its own."""
    pool = descriptor_pool.DescriptorPool()
    for module in (any_pb2, struct_pb2, timestamp_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(_login_file().SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Login"))


def test_an_event_is_one_line_of_json_with_utc_time_level_and_logger(output):
    """Fields keep their types."""
    before = datetime.now(UTC)
    logs.get_logger("cloudspan.test").info("operation accepted", operation="operations/1", tries=2, ms=1.5, ok=True)
    (event,) = lines(output)
    assert before <= datetime.fromisoformat(event.pop("timestamp")) <= datetime.now(UTC)
    assert event == {
        "event": "operation accepted", "level": "info", "logger": "cloudspan.test",
        "operation": "operations/1", "tries": 2, "ms": 1.5, "ok": True,
    }  # fmt: skip


async def test_what_is_bound_reaches_child_tasks_and_ends_with_the_block(output):
    """Empty parts of the context are left out."""

    async def child() -> None:
        logs.get_logger("x").info("inside")

    with logs.bound(request_id="r1", method="GetServer", platform="os-east", cluster=""):
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
    logs.get_logger("x").info("outside")
    inside, outside = lines(output)
    assert (inside["request_id"], inside["method"], inside["platform"]) == ("r1", "GetServer", "os-east")
    assert "cluster" not in inside
    assert "request_id" not in outside


def test_a_library_speaks_through_the_same_chain(output):
    """With its context, its exception and our redaction; its debug lines are not wanted."""
    library = logging.getLogger("aiohttp.client")
    library.debug("sent the body")
    with logs.bound(request_id="r2"):
        error = OSError(f"X-Auth-Token: {CANARY}")
        library.error("request failed: %s", f'{{"password": "{CANARY}"}}', exc_info=error)
    (event,) = lines(output)
    assert (event["logger"], event["level"], event["request_id"]) == ("aiohttp.client", "error", "r2")
    assert event["event"] == 'request failed: {"password": "***"}'
    assert "OSError: X-Auth-Token: ***" in event["exception"]


def test_a_librarys_wrong_format_string_is_still_logged(output):
    """It must not end the library's call."""
    record = logging.LogRecord("lib", logging.WARNING, __file__, 1, "%d servers", ("many",), None)
    logging.getLogger().handlers[0].handle(record)
    assert lines(output)[0]["event"] == "%d servers ('many',)"


def test_below_its_level_nothing_is_written(output):
    """The level is the service's choice."""
    logs.configure("warning", "json", output)
    logs.get_logger("x").info("not written")
    logs.get_logger("x").warning("written")
    assert [event["event"] for event in lines(output)] == ["written"]


def test_for_people_there_is_a_console_form(output):
    """Without colours where there is no terminal."""
    logs.configure("info", "console", output)
    logs.get_logger("x").info("operation accepted", operation="operations/1", token=CANARY)
    assert "[info     ] operation accepted" in output.getvalue()
    assert "operation=operations/1" in output.getvalue()
    assert CANARY not in output.getvalue()
    assert "\x1b" not in output.getvalue()


def full_login(login):
    """Return a message with the canary everywhere that a secret can be."""
    inner = login(user="ann", cloud_init=CANARY, seeds=[CANARY.encode()], admin_password=CANARY)
    message = login(
        user="bob", next=inner, others=[inner, inner], metadata={"x-auth-token": CANARY, "colour": "red"}, kind=1,
        page_token="p1", sealed=inner, by_name={"first": inner}, blob=b"12345",
    )  # fmt: skip
    message.detail.Pack(inner)
    message.options.update({"driver": {"secret": CANARY, "list": [{"private_key": CANARY}, 7]}, "size": 3})
    message.at.FromSeconds(0)
    return message


def test_a_message_is_shown_without_its_marked_fields(login):
    """Nested, repeated, in maps, in an Any and in a Struct; what is harmless stays readable."""
    inner = {"user": "ann", "cloud_init": "***", "seeds": "***", "admin_password": "***"}
    assert logs.redacted(full_login(login)) == {
        "user": "bob",
        "next": inner,
        "others": [inner, inner],
        "detail": {"@type": "type.googleapis.com/t.Login", **inner},
        "options": {"driver": {"secret": "***", "list": [{"private_key": "***"}, 7.0]}, "size": 3.0},
        "metadata": {"x-auth-token": "***", "colour": "red"},
        "kind": "FULL",
        "at": "1970-01-01T00:00:00Z",
        "page_token": "p1",
        "sealed": "***",
        "by_name": {"first": inner},
        "blob": "<5 bytes>",
    }


@pytest.mark.parametrize("content", [b"", CANARY.encode()])
def test_an_any_of_unknown_type_shows_its_size_only(content):
    """Nobody can say which of its bytes are secret."""
    message = any_pb2.Any(type_url="type.googleapis.com/no.Such", value=content)
    assert logs.redacted(message)["value"] == f"<{len(content)} bytes>"


@dataclass
class Credentials:
    """Something whose repr gives its secret away."""

    user: str
    password: str


class Pair(NamedTuple):
    """As above."""

    user: str
    password: str


def _loop() -> list:
    values: list = [CANARY.encode()]
    values.append(values)
    return values


@pytest.mark.parametrize(
    "fields",
    [
        {"body": {"auth": {"identity": {"password": {"user": {"name": "ann", "password": CANARY}}}}}},
        {"headers": {"X-Auth-Token": CANARY, "X-Subject-Token": CANARY, "Authorization": f"Bearer {CANARY}"}},
        {"headers": [("X-Auth-Token", CANARY)], "more": ((b"Authorization", CANARY.encode()),)},
        {"server": {"user_data": CANARY, "adminPass": CANARY, "privateKey": CANARY, "OS-DCF": {"admin_pass": CANARY}}},
        {"token": CANARY, "password": CANARY, "secret": CANARY, "x_auth_token": CANARY, "userData": CANARY},
        {"text": f"POST /v3\r\nX-Auth-Token: {CANARY}\r\nAccept: */*"},
        {"text": f"curl -H 'Authorization: Basic {CANARY}' -H 'Cookie: a={CANARY}; b={CANARY}'"},
        {"text": f'sent {{"auth": {{"password": "{CANARY} with \\" quote {CANARY}"}}}}'},
        {"text": json.dumps(json.dumps({"adminPass": CANARY, "nested": json.dumps({"token": CANARY})}))},
        {"text": repr({"password": {"value": CANARY}, "auth": {"password": {"user": {"password": CANARY}}}})},
        {"text": repr({"headers": [("X-Auth-Token", CANARY)], "private_key": CANARY})},
        {"text": f"run --os-password {CANARY}; <adminPass>{CANARY}</adminPass>; 'passwords': [u'{CANARY}']"},
        {"text": f"https://ann:{CANARY}@cloud:5000/v3?password={CANARY}&x=1"},
        {"text": f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n{CANARY}\n-----END RSA PRIVATE KEY-----"},
        {"text": f"the fernet gAAAAABm{CANARY}0123456789abcdefgh was refused"},
        {"value": Credentials("ann", CANARY), "error": ValueError(f"password={CANARY}")},
        {"raw": f'{{"password": "{CANARY}"}}'.encode(), "loop": _loop()},
        {
            "value": [Credentials("ann", CANARY)],
            "pair": Pair("ann", CANARY),
            "multi": MultiDict({"X-Auth-Token": CANARY}),
        },
        {"password": 31337_4242, "deep": {"pin": {"passwd": 31337_4242}}},
    ],
)
def test_no_secret_of_an_event_is_written(output, fields):
    """By key at any depth, and by what stands before it in a text."""
    logs.get_logger("x").warning("native call failed", **fields)
    (event,) = lines(output)
    assert event["event"] == "native call failed"
    assert CANARY not in output.getvalue()
    assert "313374242" not in output.getvalue()


def test_no_secret_of_a_message_is_written(output, login):
    """As a value, inside a list or a dict, and as the text of an exception's argument."""
    message = full_login(login)
    holder = Credentials(message, "")
    logs.get_logger("x").info("asked", batch=[message], by={"key": message}, others=message.others, holder=holder)
    logs.get_logger("x").info("asked", request=message, by_name=message.by_name, detail=message.detail)
    assert CANARY not in output.getvalue()
    assert lines(output)[0]["by"]["key"]["user"] == "bob"


def test_no_secret_of_an_exception_is_written(output):
    """Its own text and that of its cause."""
    error = RuntimeError(f'answer was {{"secret": "{CANARY}"}}')
    error.__cause__ = KeyError(f"token={CANARY}")
    logs.get_logger("x").error("step failed", exc_info=error)
    (event,) = lines(output)
    assert CANARY not in output.getvalue()
    assert "RuntimeError: answer was" in event["exception"]
    assert "KeyError" in event["exception"]


@pytest.mark.parametrize(
    "text",
    [
        "token renewed for os-east in 1.2 s",
        "page_token=abc of platforms/os-east/clusters/r1",
        "user ann may not stop servers/1; see http://cloud:5000/v3",
        'next_page_token: "abc"',
    ],
)
def test_a_harmless_text_stays_as_it_is(output, text):
    """A log that masks too much helps nobody."""
    logs.get_logger("x").info(text, said=text, page_token="abc", token_age_s=12)
    (event,) = lines(output)
    assert (event["event"], event["said"], event["page_token"], event["token_age_s"]) == (text, text, "abc", 12)


def test_a_file_name_that_is_not_utf8_is_written(output):
    """Python reads such names with lone surrogates."""
    logs.get_logger("x").info("file ignored", path="conf\udc80.yaml")
    assert lines(output)[0]["path"] == "conf\udc80.yaml"


def test_a_long_text_is_searched_in_linear_time(output):
    """200 kB of one word and of opening quotes end well within the test's time limit."""
    for text in (
        "token" + "a" * 200_000,
        '"password": "' * 15_000,
        "authorization" * 15_000,
        "\\" * 200_000 + "secret",
    ):
        logs.get_logger("x").info("told", text=text)
    assert len(lines(output)) == 4


def test_an_absent_secret_shows_that_it_is_absent(output):
    """None, "" and a flag give nothing away, and are worth knowing."""
    logs.get_logger("x").info("login begun", password=None, token="", has_secret=True)
    (event,) = lines(output)
    assert (event["password"], event["token"], event["has_secret"]) == (None, "", True)


def test_what_is_the_callers_fault_fills_no_log(output):
    """Metadata that is not UTF-8, a caller that has gone: gRPC logs errors; other errors of gRPC are logged."""
    logger = logging.getLogger("grpc._cython.cygrpc")
    logger.error("Invalid encoding on %s", b"\xff")
    logger.error("ExecuteBatchError raised in core by servicer method [%s]", "/a/b")
    logger.error("something else")
    assert [line["event"] for line in lines(output)] == ["something else"]


def test_the_line_of_a_call_has_the_form_of_every_other_line(output: io.StringIO) -> None:
    """The same keys in the same order, at a fraction of the cost; nothing below the level that is logged."""
    logs.get_logger("door").info("call ended", method="a/B", ms=1.5)
    logs.log_call("door", "call ended", {"method": "a/B", "ms": 1.5})
    chained, direct = lines(output)
    assert list(direct) == list(chained)
    assert {**direct, "timestamp": ""} == {**chained, "timestamp": ""}
    assert len(direct["timestamp"]) == len(chained["timestamp"])
    logs.configure("warning", "json", output)
    logs.log_call("door", "call ended", {})
    assert len(lines(output)) == 2


def test_the_line_of_a_call_is_for_people_where_the_others_are(output: io.StringIO) -> None:
    """The console's renderer writes it as well."""
    logs.configure("info", "console", output)
    logs.log_call("door", "call ended", {"method": "a/B"})
    assert "call ended" in output.getvalue()
    assert "method=a/B" in output.getvalue()
