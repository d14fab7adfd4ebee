"""Errors as the server words them: by its locale, elaborated on where its catalogue knows the words.

Resources raise `Failure` with the server's English words. `wordings.json` says which of them have a Chinese form, and
which are elaborated on: the server looks that up by the words too. Only jobs tell `causes` and how long a step took.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.wire import Failure

DESCRIPTIONS = {
    "SYS.1000": "An internal error happened in system",
    "SYS.1001": "An operation timed out",
    "SYS.1002": "Unable to create a resource",
    "SYS.1003": "A resource can not be found",
    "SYS.1004": "Unable to delete a resource",
    "SYS.1005": "Unable to change resource state",
    "SYS.1006": "An operation failed",
    "SYS.1007": "One or more API argument is invalid",
    "SYS.1014": "The requested function is not implemented",
    "ID.1000": "Unable to authenticate a user",
    "ID.1001": "The session is invalid, either wrong session id or the session has been expired",
    "ID.1002": "The user doesn't have permission to perform the operation",
    "ID.1003": "The user exceeds a quota of a resource",
    "ID.1006": "The number of sessions exceeds the limit",
    "HOST_ALLOCATION.1000": "No available host found",
    "NO_AVAILABLE_HOST_BUT_PAGINATION_HAS_NOT_DONE": (
        "some allocator flow cannot find candidate hosts; given it's still in pagination process, "
        "will continue allocating"
    ),
    "L2.1000": "Unable to attach L2Network to a cluster",
    "L3.1000": "Unable to allocate an ip address from L3Network",
    "VM.1001": "Unable to start a vm",
    "VM.1002": "Unable to stop a vm",
    "VM.1003": "Unable to reboot a vm",
    "VM.1005": "Unable to attach data volume to a vm",
    "VM.1010": "VM is not in state that allows required operation",
    "VM.1013": "Unable to resume a vm",
}
_WORDINGS = Path(__file__).with_name("wordings.json")
_SEPARATORS = re.compile(r"(?<=\d),(?=\d{3})")


class Wording(msgspec.Struct, frozen=True):
    """What the server makes of words that it fails with; a number after a backslash stands for a group of them."""

    words: str
    """A pattern."""
    chinese: str = ""
    """The words where the locale is Chinese; the same when empty."""
    code: str = ""
    """The number in the catalogue of elaborations; empty when it has none."""
    english_advice: str = ""
    chinese_advice: str = ""
    distance: float | None = None
    """How far off the catalogue's words are, where they were not found by a pattern."""


@functools.cache
def _wordings() -> list[tuple[re.Pattern[str], Wording]]:
    wordings = msgspec.json.decode(_WORDINGS.read_bytes(), type=list[Wording])
    return [(re.compile(wording.words), wording) for wording in wordings]


def document(failure: Failure, locale: str, *, of_job: bool = False) -> Json:
    """Return the error object of a failure."""
    made: Json = {"causes": []} if of_job else {}
    made |= {"code": failure.code, "description": DESCRIPTIONS.get(failure.code, "An error")}
    made |= _worded(failure.details, locale)
    if failure.cause is not None:
        made["cause"] = document(failure.cause, locale, of_job=of_job)
    elif of_job:
        made["cost"] = "1ms"
    return made


def _worded(details: str, locale: str) -> Json:
    found = next(((match, wording) for words, wording in _wordings() if (match := words.search(details))), None)
    if found is None:
        return {"details": details}
    match, wording = found
    is_chinese = locale == "zh_CN"
    if is_chinese and wording.chinese:
        details = f"{details[: match.start()]}{match.expand(wording.chinese)}{details[match.end() :]}"
    return {"details": details} | (_elaborated(match, wording, is_chinese=is_chinese) if wording.code else {})


def _elaborated(match: re.Match[str], wording: Wording, *, is_chinese: bool) -> Json:
    english, chinese = (
        _SEPARATORS.sub("", match.expand(advice)) for advice in (wording.english_advice, wording.chinese_advice)
    )
    messages = {"code": wording.code, "message_cn": chinese, "message_en": english, "source": "zstack"}
    how = {"distance": wording.distance or 0.0, "method": "regex" if wording.distance is None else "distance"}
    return {
        "elaboration": f"错误信息: {chinese}" if is_chinese else f"Error message: {english}",
        "messages": messages | how,
    }
