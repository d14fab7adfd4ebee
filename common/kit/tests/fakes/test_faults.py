"""What every fake cloud commits when told to, and which calls it meets."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import pytest

from cloudspan_kit.fakes import faults
from cloudspan_kit.fakes.faults import Body, FaultBox, Rule, decisive
from cloudspan_kit.fakes.pages import foreign_body


class Kind(enum.StrEnum):
    LATENCY = faults.LATENCY
    RATE_LIMIT = faults.RATE_LIMIT
    HANG = faults.HANG


@dataclass
class Call:
    service: str = "compute"
    method: str = "GET"
    path: str = "/servers"


def test_an_empty_rule_meets_every_call() -> None:
    assert Rule(Kind.HANG).meets(Call())


@pytest.mark.parametrize("other", [Call(service="image"), Call(method="PUT"), Call(path="/flavors")])
def test_a_rule_meets_only_the_service_method_and_path_it_names(other: Call) -> None:
    rule = Rule[Call](Kind.HANG, service="compute", method="GET", path="^/servers$")
    assert rule.meets(Call())
    assert not rule.meets(other)
    assert rule.hits == 1


def test_a_rule_skips_the_first_calls_and_ends_after_its_count() -> None:
    rule = Rule[Call](Kind.HANG, skip=2, count=1)
    assert [rule.meets(Call()) for _ in range(5)] == [False, False, True, False, False]


def test_the_same_seed_meets_the_same_calls() -> None:
    rules = [Rule[Call](Kind.HANG, probability=0.5, seed=7) for _ in range(2)]
    first, second = ([rule.meets(Call()) for _ in range(50)] for rule in rules)
    assert first == second
    assert 10 < sum(first) < 40


def test_latencies_combine_with_the_first_other_fault_only() -> None:
    box: FaultBox[Rule[Call]] = FaultBox()
    slow, limit, hang = Rule[Call](Kind.LATENCY), Rule[Call](Kind.RATE_LIMIT), Rule[Call](Kind.HANG)
    for rule in (limit, hang, slow):
        box.add(rule)
    met = box.match(Call())
    assert met == [limit, slow]
    assert decisive(met) is limit
    assert hang.hits == 0


def test_latency_alone_decides_nothing() -> None:
    assert decisive([Rule[Call](Kind.LATENCY)]) is None


def test_a_box_names_its_rules_and_forgets_them() -> None:
    box: FaultBox[Rule[Call]] = FaultBox()
    assert [box.add(Rule(Kind.HANG)), box.add(Rule(Kind.HANG, id="mine"))] == ["fault-1", "mine"]
    assert repr(box) == "<FaultBox: 2 rules>"
    assert (box.remove("mine"), box.remove("mine")) == (True, False)
    box.clear()
    assert box.rules() == []


def test_a_rule_is_shown_without_its_inner_state() -> None:
    shown = Rule[Call](Kind.HANG, body=Body.HTML).document()
    assert shown["kind"] == "hang"
    assert shown["body"] == "html"
    assert not [name for name in shown if name.startswith("_")]


@pytest.mark.parametrize(("kind", "status", "answered"), [("rate_limit", 0, 429), ("hang", 0, 500), ("hang", 502, 502)])
def test_a_refusal_has_the_status_of_its_rule_or_of_its_kind(kind: str, status: int, answered: int) -> None:
    assert Rule[Call](Kind(kind), status=status).refusal_status == answered


def test_a_proxy_answers_with_a_page_a_line_or_nothing() -> None:
    assert b"<title>502 Bad Gateway</title>" in foreign_body(Body.HTML, "502 Bad Gateway")
    assert foreign_body(Body.TEXT, "502 Bad Gateway") == b"502 Bad Gateway\n"
    assert foreign_body(Body.EMPTY, "502 Bad Gateway") == b""
