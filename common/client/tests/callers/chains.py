"""Chains of audit events as a gateway writes them, for tests."""

from __future__ import annotations

import hashlib
import json

from google.protobuf import json_format

from cloudspan.v1.audit_pb2 import AuditEvent


def event(sequence, previous, **fields):
    """An event in its place: record and hash as AuditEvent's comments say."""
    made = AuditEvent(sequence=sequence, **fields)
    made.create_time.FromJsonString(f"2026-11-28T20:00:00.{sequence:06d}Z")
    found = json_format.MessageToDict(made, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    del found["hash"], found["previous_hash"], found["record"]
    found["sequence"] = sequence
    made.record = json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    made.previous_hash = previous
    made.hash = hashlib.sha256(f"{previous}\n{made.record}".encode()).hexdigest()
    return made


def chain(*fields):
    """Events one after the other, from the first."""
    made = []
    for sequence, said in enumerate(fields, 1):
        made.append(event(sequence, made[-1].hash if made else "0" * 64, **said))
    return made


def line(found, **more):
    """An event as `--audit-log` writes it."""
    said = {
        "sequence": found.sequence,
        "record": found.record,
        "hash": found.hash,
        "previous_hash": found.previous_hash,
    }
    return json.dumps(said | more) + "\n"
