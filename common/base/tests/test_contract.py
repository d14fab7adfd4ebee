"""What is read of each method off its descriptor."""

from __future__ import annotations

from typing import Any

import pytest

from cloudspan.v1 import annotations_pb2, floating_ip_pb2, security_group_pb2
from cloudspan_common import contract
from cloudspan_common.contract import Kind
from cloudspan_common.errors import InvalidRequest

METHODS = contract.methods()
MUTATIONS = [method for method in METHODS.values() if method.kind is Kind.MUTATION]


def test_an_attach_declares_its_second_resource_and_its_concurrency() -> None:
    """The volume is a second resource; the routed server is not said twice."""
    attach = METHODS["cloudspan.v1.ServerService/AttachVolume"]
    assert attach.also == ("volume",)
    assert (attach.concurrency, attach.deadline_s) == (annotations_pb2.Mutation.CONCURRENCY_SHARED, 600.0)


def test_a_create_names_no_second_resource() -> None:
    """Its parent is a cluster."""
    create = METHODS["cloudspan.v1.ServerService/CreateServer"]
    assert create.also == ()
    assert create.concurrency == annotations_pb2.Mutation.CONCURRENCY_EXCLUSIVE


@pytest.mark.parametrize("method", MUTATIONS, ids=lambda m: m.name)
def test_every_mutation_says_how_it_gets_on_and_can_be_checked_only(method: contract.Method) -> None:
    """A delete ends what is under way; nothing is left unsaid."""
    assert method.concurrency != annotations_pb2.Mutation.CONCURRENCY_UNSPECIFIED
    assert (method.concurrency == annotations_pb2.Mutation.CONCURRENCY_PREEMPTING) == method.name.startswith("Delete")
    assert 60 <= method.deadline_s <= 7200
    assert "validate_only" in method.request.DESCRIPTOR.fields_by_name


def test_methods_that_the_gateway_itself_answers_are_not_mutations() -> None:
    """It returns an operation too, and no adapter is asked."""
    assert METHODS["cloudspan.v1.OperationService/AbandonOperation"].kind is Kind.CALL


def test_a_collections_getter_is_the_one_that_returns_its_resource() -> None:
    """For each collection that is listed; another has none."""
    for method in METHODS.values():
        if method.kind is Kind.LIST:
            collection = METHODS[f"{method.service}/Get{method.item.DESCRIPTOR.name}"].collection
            assert contract.getter(collection).response is method.item
    with pytest.raises(InvalidRequest, match="unicorns"):
        contract.getter("unicorns")


Rule, Group = security_group_pb2.SecurityGroup.Rule, security_group_pb2.SecurityGroup
INGRESS = Rule.DIRECTION_INGRESS


@pytest.mark.parametrize(
    ("request_", "missing"),
    [
        (security_group_pb2.AddRulesRequest(name="n", rules=[Rule(direction=INGRESS), Rule()]), ["rules[1].direction"]),
        (security_group_pb2.AddRulesRequest(), ["name", "rules"]),
        (security_group_pb2.UpdateSecurityGroupRequest(), ["security_group"]),
    ],
)
def test_every_required_field_that_is_empty_is_named_by_its_path(request_: Any, missing: list[str]) -> None:
    """Nested and repeated ones included."""
    with pytest.raises(InvalidRequest) as refused:
        contract.check_required(request_)
    assert [violation.field for violation in refused.value.violations] == missing
    assert refused.value.reason == "REQUIRED_FIELD_MISSING"


def test_of_a_resource_in_an_update_only_what_the_mask_names_is_required() -> None:
    """A floating IP's network is required by its create alone."""
    wanted = floating_ip_pb2.FloatingIp(name="platforms/a/clusters/b/floatingIps/1")
    request = floating_ip_pb2.UpdateFloatingIpRequest(floating_ip=wanted)
    contract.check_required(request)
    request.update_mask.paths.append("external_network")
    with pytest.raises(InvalidRequest, match=r"floating_ip\.external_network"):
        contract.check_required(request)


def test_a_dotted_routed_field_is_read_and_named_when_empty() -> None:
    """The name in the resource of an Update says which cluster it is for."""
    method = METHODS["cloudspan.v1.SecurityGroupService/UpdateSecurityGroup"]
    request = security_group_pb2.UpdateSecurityGroupRequest(security_group=Group(name="n"))
    assert (method.collection, contract.routed_value(method, request)) == ("securityGroups", "n")
    request.security_group.name = ""
    with pytest.raises(InvalidRequest, match=r"security_group\.name is empty"):
        contract.check_routed(method, request)
