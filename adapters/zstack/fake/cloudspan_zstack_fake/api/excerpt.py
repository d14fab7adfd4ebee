"""Cut out of the full API reference what the fake serves: `python -m ... .excerpt api.json` rewrites `calls.json`.

The fake checks every request against that file, so it refuses what the reference does not know, whatever a
client believes. Run it when the fake serves further calls or the reference has grown.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from cloudspan_zstack_fake.api.reference import EXCERPT
from cloudspan_zstack_fake.app import FakeCloud

_KEPT = (
    "name",
    "category",
    "method",
    "mode",
    "bodyKey",
    "actionKey",
    "successIfGone",
    "defaultTimeoutSeconds",
    "edition",
)
_PARAM = ("name", "type", "where", "enum", "range", "maxLength")
_PREFIX = "/zstack"
_NODE_FIELDS = {
    "HostInventory": {
        "username": "string", "sshPort": "int", "osDistribution": "string", "osRelease": "string",
        "osVersion": "string",
    },
    "L2NetworkInventory": {"vlan": "int"},
    "SecurityGroupInventory": {"internalId": "int"},
    "SessionInventory": {"noSessionEvaluation": "boolean"},
    "UsedIpInventory": {"ipInBinary": "list"},
    "VipInventory": {"ipRangeUuid": "string"},
    "VirtualRouterVmInventory": {"internalId": "long"},
    "VmInstanceInventory": {"internalId": "long"},
    "VmNicInventory": {"usedIpUuid": "string"},
    "VpcRouterVmInventory": {"internalId": "long"},
}  # fmt: skip
"""Fields that a real node has and the reference does not name."""
_NEVER_SENT = {"UsedIpInventory": ("usedFor",)}
"""Fields that the reference names and no row of a real node has."""
_NO_PATHS = ("/v1/accounts/resources/refs/{uuid}", "/v1/network-services/providers/{uuid}")
"""Paths that the reference names and a real node does not have."""
_NODE_ANSWERS = {"GetVersion": {"success": "boolean"}, "GetCurrentTime": {"success": "boolean"}}


def main() -> None:
    """Write the excerpt for the calls that a `FakeCloud` has handlers for."""
    reference = msgspec.json.decode(Path(sys.argv[1]).read_bytes())
    served = set(FakeCloud().served())
    unknown = served - {call["name"] for call in reference}
    if unknown:
        raise SystemExit(f"not in the reference: {', '.join(sorted(unknown))}")
    chosen = [call for call in reference if call["name"] in served]
    taken = Counter(re.sub(r"{\w+}", "{}", path) for call in reference for path in _paths(call))
    document = {"calls": [_call(call, taken) for call in chosen], "inventories": _inventories(reference)}
    EXCERPT.write_bytes(_lines(document))


def _paths(call: dict[str, Any]) -> list[str]:
    paths = (path.removeprefix(_PREFIX) for path in (call["path"], *call.get("altPaths", ())))
    return [path for path in paths if path not in _NO_PATHS]


def _call(call: dict[str, Any], taken: Counter[str]) -> dict[str, Any]:
    kept = {key: call[key] for key in _KEPT if call.get(key)}
    kept["paths"] = _paths(call)
    alone = [path for path in kept["paths"] if taken[re.sub(r"{\w+}", "{}", path)] == 1]
    kept |= {"alone": alone} if alone else {}
    kept["auth"] = call["auth"]
    kept["params"] = [_param(param) for param in call["params"]]
    kept["response"] = {key: value["type"] for key, value in call["response"].items()}
    kept["response"] |= _NODE_ANSWERS.get(call["name"], {})
    return kept


def _param(param: dict[str, Any]) -> dict[str, Any]:
    kept = {key: param[key] for key in _PARAM if param.get(key)}
    if param["required"]:
        kept["required"] = True
    if param.get("default") is not None:
        kept["default"] = str(param["default"])
    if "regex" in param and _compiles(pattern := param["regex"].replace("\\\\", "\\")):
        kept["regex"] = pattern  # the reference quotes it as Java source does
    return kept


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _inventories(reference: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    found = {}
    for call in reference:
        for value in call["response"].values():
            if value.get("fields"):
                fields = {f["name"]: f["type"] for f in value["fields"] if isinstance(f, dict)}
                name = value["type"].removesuffix("[]")
                dropped = _NEVER_SENT.get(name, ())
                found[name] = {field: kind for field, kind in fields.items() if field not in dropped}
                found[name] |= _NODE_FIELDS.get(name, {})
    return found


def _lines(document: dict[str, Any]) -> bytes:
    calls = b",\n".join(msgspec.json.encode(call) for call in document["calls"])
    inventories = msgspec.json.encode(document["inventories"], order="sorted")
    return b'{"calls":[\n' + calls + b'\n],\n"inventories":' + inventories + b"}\n"


if __name__ == "__main__":
    main()
