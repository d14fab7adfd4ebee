"""Holds requests against the reference of ZStack's API: method, path, action key, parameters, types and choices.

`conftest` shows it every request that the adapter makes in any test. `native_calls.json` is the part of the reference
that the adapter uses; a request for a call that is not in it is a violation too.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PREFIX = "/zstack/v1"
# The parameters of every query call, which the file does not repeat.
_QUERY = [
    {"name": name, "type": kind, "required": False, "where": "query"}
    for name, kind in {
        "q": "string[]", "limit": "int", "start": "int", "count": "boolean", "groupBy": "string",
        "replyWithCount": "boolean", "filterName": "string", "sort": "string", "fields": "string",
    }.items()
]  # fmt: skip
_CALLS = json.loads(Path(__file__).with_name("native_calls.json").read_text("utf-8"))
_UUID = re.compile("[0-9a-f]{12}[1-5][0-9a-f]{3}[89ab][0-9a-f]{15}")
_SESSION = re.compile(r"OAuth [0-9a-f]{32}|ZStack [^:]+:[A-Za-z0-9+/]+=*")
_JOB = re.compile(rf"{PREFIX}/api-jobs/[0-9a-f]{{32}}")


class Checker:
    """What was asked, and what of it the reference does not allow."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.violations: list[str] = []

    def __repr__(self) -> str:
        return f"<Checker: {len(self.seen)} requests, {len(self.violations)} violations>"

    def see(self, method: str, url: Any, headers: Any, body: bytes | None) -> None:
        """Check one request."""
        if not url.path.startswith(PREFIX):
            return  # a test of a wrong endpoint
        if _JOB.fullmatch(url.path):
            self._expect(method == "GET" and body is None, f"{method} {url.path}: a job is only read")
            self.seen.append("job")
            return
        document = json.loads(body) if body else {}
        found = _find(method, url.path, document)
        if found is None:
            self.violations.append(f"{method} {url.path} {sorted(document)}: no such call in the reference")
            return
        call, path_values = found
        self.seen.append(call["name"])
        where = f"{call['name']} ({method} {url.path})"
        self._check_headers(call, method, headers, where)
        self._check_shape(call, method, document, where)
        self._check_params(call, path_values, list(url.query.items()), document, where)

    def _check_headers(self, call: dict[str, Any], method: str, headers: Any, where: str) -> None:
        if call["auth"]:
            self._expect(bool(_SESSION.fullmatch(headers.get("Authorization", ""))), f"{where}: not authorized")
        job = headers.get("X-Job-UUID")
        if call["mode"] == "async":
            self._expect(bool(job and _UUID.fullmatch(job)), f"{where}: X-Job-UUID is {job!r}")
        else:
            self._expect(job is None, f"{where}: X-Job-UUID on a synchronous call")

    def _check_shape(self, call: dict[str, Any], method: str, document: dict[str, Any], where: str) -> None:
        if method in ("GET", "DELETE"):
            self._expect(not document, f"{where}: a body")
            return
        inner = [key for key in document if key not in ("systemTags", "userTags")]
        allowed = [call.get("bodyKey") or "params"]
        self._expect(inner == allowed, f"{where}: the body has {inner}, not {allowed}")

    def _check_params(
        self, call: dict[str, Any], path: dict[str, str], query: list[tuple[str, str]], document: dict[str, Any],
        where: str,
    ) -> None:  # fmt: skip
        inner = document.get(call.get("bodyKey") or "params") or {}
        known = {param["name"]: param for param in [*call["params"], *(_QUERY if call.get("query") else ())]}
        for name, value in [*inner.items(), *((k, document[k]) for k in ("systemTags", "userTags") if k in document)]:
            param = known.get(name)
            if param is None or param["where"] not in ("body", "body-top"):
                self.violations.append(f"{where}: the body has {name}, which the call does not know")
            else:
                self._check_value(param, value, where)
        for name, text in query:
            param = known.get(name)
            if param is None or param["where"] != "query":
                self.violations.append(f"{where}: the query has {name}, which the call does not know")
            else:
                self._check_value(param, _parsed(param, text), where)
        given = {*inner, *document, *(name for name, _ in query), *path}
        missing = [p["name"] for p in call["params"] if p["required"] and p["name"] not in given]
        # A path variable may have another name in the path than as a parameter.
        missing = [name for name in missing if known[name]["where"] != "path"]
        self._expect(not missing, f"{where}: {missing} missing")

    def _check_value(self, param: dict[str, Any], value: Any, where: str) -> None:
        name, kind = param["name"], param["type"]
        fits = _fits(kind, value)
        self._expect(fits, f"{where}: {name} is {value!r}, not {kind}")
        if not fits:
            return
        if param.get("enum"):
            chosen = {str(one) for one in (value if isinstance(value, list) else [value])}
            choices = {str(one) for one in param["enum"]}
            self._expect(chosen <= choices, f"{where}: {name} is {value!r}, not of {sorted(choices)}")
        if param.get("range"):
            low, high = param["range"]
            self._expect(low <= int(value) <= high, f"{where}: {name} is {value}, not in {low}..{high}")
        if param.get("maxLength"):
            self._expect(len(str(value)) <= param["maxLength"], f"{where}: {name} has more than {param['maxLength']}")
        if name.endswith("Uuid") and isinstance(value, str):
            self._expect(bool(value), f"{where}: {name} is empty, which is not unset")
        if name == "resourceUuid":
            self._expect(bool(_UUID.fullmatch(value)), f"{where}: resourceUuid {value!r} has not the form of a uuid")

    def _expect(self, holds: bool, text: str) -> None:
        if not holds:
            self.violations.append(text)


def _find(method: str, path: str, document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Return the call of a request; of several that fit the one with the fewest variables in its path."""
    fits = []
    for call in _CALLS:
        for template in (call["path"], *call.get("altPaths", ())):
            values = _match(template, path)
            if call["method"] == method and values is not None:
                fits.append((len(values), call, values))
    fits = [fit for fit in fits if fit[0] == min(f[0] for f in fits)]
    if method == "PUT":
        fits = [fit for fit in fits if fit[1].get("actionKey") in document]
    return (fits[0][1], fits[0][2]) if fits else None


def _match(template: str, path: str) -> dict[str, str] | None:
    wanted, given = template.strip("/").split("/"), path.strip("/").split("/")
    if len(wanted) != len(given):
        return None
    if any(want != got for want, got in zip(wanted, given, strict=True) if want[0] != "{"):
        return None
    return {want[1:-1]: got for want, got in zip(wanted, given, strict=True) if want[0] == "{"}


def _parsed(param: dict[str, Any], text: str) -> Any:
    kind = param["type"]
    if kind in ("int", "long"):
        return int(text) if re.fullmatch(r"-?\d+", text) else text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return [text] if kind.endswith("[]") else text


def _fits(kind: str, value: Any) -> bool:
    if kind in ("int", "long"):
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str)
    if kind.endswith("[]"):
        return isinstance(value, list) and all(_fits(kind[:-2], one) for one in value)
    return isinstance(value, dict)
