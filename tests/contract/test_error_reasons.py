"""Every reason that the code can send is in the contract with its cause and what to do, and no other is there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from cloudspan.v1 import error_reason_pb2

ROOT = Path(__file__).parents[2]
SOURCES = ("common/*/cloudspan*", "gateway/cloudspan_gateway", "adapters/*/cloudspan_*")
DECLARED = set(error_reason_pb2.ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}
_UPPER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def files() -> list[Path]:
    found = [path for pattern in SOURCES for folder in ROOT.glob(pattern) for path in folder.rglob("*.py")]
    return [path for path in found if "_pb2" not in path.name]


def texts(tree: ast.AST) -> set[str]:
    """Every text in a file: a reason may be handed on by position, or stand in a table."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def said(tree: ast.AST) -> set[str]:
    """What is given as a `reason`: by keyword, or as a class's default."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "reason" and isinstance(node.value, ast.Constant):
            found.add(str(node.value.value))
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            if "default_reason" in names and isinstance(node.value, ast.Constant):
                found.add(str(node.value.value))
    return {text for text in found if text and set(text) <= _UPPER}


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.AST]:
    return {path: ast.parse(path.read_text("utf-8")) for path in files()}


def test_what_is_raised_is_declared(trees):
    """Or callers could not look it up."""
    raised = {reason for tree in trees.values() for reason in said(tree)}
    assert len(raised) > 100
    assert sorted(raised - DECLARED) == []


def test_what_is_declared_is_raised(trees):
    """A reason that nobody sends is none to handle."""
    known = {text for tree in trees.values() for text in texts(tree)}
    assert sorted(DECLARED - known) == []
