"""How many failures are recorded, and how many are counted."""

from __future__ import annotations

from cloudspan_gateway.audit.flood import ALL_AT_ONCE, AT_ONCE, MAX_SOURCES, Flood


def admitted(flood: Flood, sources: list[str], now: float, kind: str = "REFUSAL", *, named: bool = False) -> int:
    return sum(flood.admits(kind, source, now, named=named) is not None for source in sources)


def test_a_source_has_some_at_once_and_then_one_every_few_seconds() -> None:
    """The next that is recorded says how many were not."""
    flood = Flood()
    assert admitted(flood, ["a"] * 40, 0.0) == AT_ONCE
    assert flood.admits("REFUSAL", "a", 1.0, named=False) is None
    assert flood.admits("REFUSAL", "a", 5.0, named=False) == 31
    assert flood.admits("REFUSAL", "a", 10.0, named=False) == 0


def test_many_sources_are_bounded_together_and_forgotten_ones_still_counted() -> None:
    """Addresses cost nothing; memory stays bounded."""
    flood = Flood()
    assert admitted(flood, [f"2001:db8::{n}" for n in range(5000)], 0.0) == ALL_AT_ONCE
    assert repr(flood) == f"<Flood from {MAX_SOURCES} sources>"
    assert flood.admits("REFUSAL", "later", 1.0, named=False) == 5000 - ALL_AT_ONCE - MAX_SOURCES + 1


def test_a_flood_without_names_hides_neither_callers_with_one_nor_logins() -> None:
    """Whoever tries passwords can't hide behind refusals, nor can a caller with a credential."""
    flood = Flood()
    admitted(flood, [f"2001:db8::{n}" for n in range(5000)], 0.0)
    assert admitted(flood, ["users/eve"] * 5, 0.0, named=True) == 5
    assert admitted(flood, ["192.0.2.1"] * 5, 0.0, "LOGIN") == 5
    assert admitted(flood, ["192.0.2.1"] * 5, 0.0) == 0
