"""Columns of one type by their names, for the migrations that make tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    Kind = sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]]

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def columns(kind: Kind, *names: str) -> list[sa.Column[Any]]:
    """Return columns that are never null."""
    return [sa.Column(name, kind, nullable=False) for name in names]


def optional(kind: Kind, *names: str) -> list[sa.Column[Any]]:
    """Return columns that may be null."""
    return [sa.Column(name, kind) for name in names]


def key(*names: str) -> list[sa.Column[str]]:
    """Return texts that are a primary key together."""
    return [sa.Column(name, sa.String, primary_key=True) for name in names]
