"""What the rows of a policy give a caller: compared with the plain reading of their definition, and its tenant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from gateway.tests.calls import call
from gateway.tests.known_callers import EAST, binding, pool, tenant
from hypothesis import given
from hypothesis import strategies as st

from cloudspan.v1 import cluster_pb2, policy_pb2, tenant_pb2
from cloudspan_common.contract import Permission
from cloudspan_common.errors import CloudspanError, InvalidRequest, NotFound, NotPermitted
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry import Instance
from cloudspan_gateway.access.permissions import BUILT_IN, VERBS
from cloudspan_gateway.access.policy import Policy, whole_table
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.routing.snapshot import (
    EJECTED,
    ClusterRoute,
    Endpoint,
    PlatformRoute,
    Seen,
    Snapshot,
    nobody_serves,
)
from cloudspan_gateway.services.policy import PolicyService

GET, STOP, MAKE = (f"cloudspan.v1.ServerService/{name}" for name in ("GetServer", "StopServer", "CreateServer"))
VERB_OF = {GET: "read", STOP: "operate", MAKE: "create"}
WORDS = (*VERBS.values(), *VERB_OF)
CLUSTERS = tuple(ClusterRef(platform, cluster) for platform in ("x", "y") for cluster in ("one", "two"))
SNAPSHOT = Snapshot(
    MappingProxyType({
        tag: PlatformRoute(
            tag,
            clusters={
                ref.cluster: ClusterRoute(ref, cluster_pb2.Cluster(name=str(ref)))
                for ref in CLUSTERS
                if ref.platform == tag
            },
        )
        for tag in ("x", "y")
    })
)  # fmt: skip


@dataclass
class Model:
    """Rows, and what they mean, as slowly as it is defined."""

    pools: dict[tuple[str, str], list[tuple[str, str, str]]] = field(default_factory=dict)
    """By tenant and id: platform, cluster, project."""
    roles: dict[str, set[str]] = field(default_factory=dict)
    bindings: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Tenant, user, role, pool."""

    def words(self, user: str, of: str, on: str) -> set[str]:
        """What a user has on a pool; on all of them for `-`."""
        return {
            word
            for where, member, role, its_pool in self.bindings
            if member == user and where in (of, "-") and its_pool in ("-", on)
            for word in self.roles[role]
        }

    def seen(self, user: str, of: str, ref: ClusterRef) -> list[tuple[str, str]]:
        """The pools in which the user has anything and that have the cluster, with its project there; by name."""
        found = []
        for (where, name), clusters in sorted(self.pools.items()):
            exact_first = sorted(clusters, key=lambda each: each[:2].count("-"))
            projects = [
                p for one, other, p in exact_first if one in ("-", ref.platform) and other in ("-", ref.cluster)
            ]
            if where == of and projects and self.words(user, of, name):
                found.append((name, projects[0]))
        return found

    def has(self, user: str, of: str, word: str, ref: ClusterRef | None) -> bool:
        """Whether a user has a verb, or a method by its verb or its name, on a cluster or in the tenant."""
        wanted = {word, VERB_OF.get(word, word)}
        if ref is not None:
            pools = self.seen(user, of, ref)
            return any(wanted & self.words(user, of, name) for name, project in pools if project == pools[0][1])
        pools = [] if word == "administer" else [name for where, name in self.pools if where == of]
        named = [its_pool for where, member, _, its_pool in self.bindings if where == of and member == user]
        everywhere = [] if word == "administer" else named
        return any(wanted & self.words(user, of, name) for name in ("-", *pools, *everywhere))

    def policy(self) -> Policy:
        rows: list[Any] = [tenant_pb2.Tenant(name=f"tenants/{name}") for name in ("a", "b")]
        for (of, name), clusters in self.pools.items():
            having = [
                tenant_pb2.PoolCluster(cluster=f"platforms/{one}/clusters/{other}", project_id=project)
                for one, other, project in clusters
            ]
            rows.append(tenant_pb2.Pool(name=f"tenants/{of}/pools/{name}", clusters=having))
        rows += [policy_pb2.Role(name=f"roles/{name}", permissions=words) for name, words in self.roles.items()]
        rows += [
            policy_pb2.Binding(
                name=f"tenants/{of}/bindings/b{n}", member=f"users/{user}", role=f"roles/{role}", pool=on
            )
            for n, (of, user, role, on) in enumerate(self.bindings)
        ]
        return Policy(rows, 1)


@st.composite
def models(draw: st.DrawFn) -> Model:
    model = Model()
    patterns = st.tuples(
        st.sampled_from("xy-"), st.sampled_from(["one", "two", "-"]), st.sampled_from(["", "p1", "p2"])
    )
    for of in ("a", "b"):
        for name in ("p", "q"):
            clusters = draw(st.lists(patterns, max_size=3, unique_by=lambda each: each[:2]))
            if clusters:
                model.pools[of, name] = clusters
    words = st.sets(st.sampled_from(WORDS), min_size=1, max_size=3)
    model.roles = draw(st.dictionaries(st.sampled_from(["r1", "r2", "r3"]), words, min_size=1))
    named = st.sampled_from(sorted(model.roles))
    for of, user, role, on in draw(
        st.lists(st.tuples(st.sampled_from("ab-"), st.sampled_from("uv"), named, st.sampled_from("pq-")), max_size=5)
    ):
        model.bindings.append((of, user, role, "-" if of == "-" or (of, on) not in model.pools else on))
    return model


def allowed(access: Any, word: str, ref: ClusterRef | None) -> bool:
    """Ask `require`, which must agree with `allows`."""
    permission = next(p for p, verb in VERBS.items() if verb == VERB_OF.get(word, word))
    method = word if word in VERB_OF else ""
    try:
        access.require(permission, method, ref)
    except NotPermitted:
        assert not access.allows(permission, method, ref)
        return False
    assert access.allows(permission, method, ref)
    return True


@given(models(), st.sampled_from("uv"), st.sampled_from("ab"))
async def test_view_require_and_test_permissions_agree_with_the_definition(model: Model, user: str, of: str) -> None:
    """Of random tenants, pools, projects, roles and bindings: each cluster, permission and method."""
    policy = model.policy()
    who = Principal(f"users/{user}", tenant=of)
    access = policy.access(who, "")
    service = PolicyService(SimpleNamespace(policy=policy), SimpleNamespace())
    asked = call("/cloudspan.v1.PolicyService/TestPermissions")
    asked.principal, asked.access = who, access

    async def tested(resource: str) -> set[str]:
        request = policy_pb2.TestPermissionsRequest(resource=resource, permissions=WORDS)
        return set((await service.test_permissions(request, asked)).permissions)

    view = access.view(SNAPSHOT)
    assert access.view(SNAPSHOT) is view
    for ref in CLUSTERS:
        pools = model.seen(user, of, ref)
        shown = ref.platform in view.platforms and ref.cluster in view.platforms[ref.platform].clusters
        assert shown == access.sees(of, ref) == bool(pools)
        expected = {word for word in WORDS if model.has(user, of, word, ref)}
        assert {word for word in WORDS if allowed(access, word, ref)} == expected
        assert await tested(f"{ref}/servers/1") == expected
        assert access.project(ref) == (pools[0][1] if pools else "")
    expected = {word for word in WORDS if model.has(user, of, word, None)}
    assert {word for word in WORDS if allowed(access, word, None)} == expected
    assert await tested("") == await tested(f"tenants/{of}") == expected
    for where, name in model.pools:
        has = model.words(user, where, name)
        assert await tested(f"tenants/{where}/pools/{name}") == {w for w in WORDS if {w, VERB_OF.get(w, w)} & has}


TWO = (
    tenant("acme"), tenant("beta"), tenant("gone", disabled=True),
    pool("acme", "prod", EAST),
    binding("acme", "alice", "viewer"),
    binding("acme", "bob", "viewer"), binding("beta", "bob", "admin"),
    binding("gone", "carol", "viewer"),
    binding("-", "root", "admin"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("user", "own", "wanted", "expected"),
    [
        ("alice", "", "", "acme"),
        ("alice", "acme", "", "acme"),
        ("alice", "beta", "", "beta"),  # its own, without a role: it sees nothing there
        ("alice", "beta", "acme", "acme"),
        ("bob", "", "beta", "beta"),
        ("bob", "acme", "", "acme"),
        ("root", "", "", "-"),
        ("root", "", "beta", "beta"),
        ("root", "acme", "-", "-"),
        ("eve", "", "", ""),
        ("bob", "", "", "TENANT_NOT_CHOSEN"),
        ("alice", "", "beta", "TENANT_UNKNOWN"),
        ("alice", "", "nothing", "TENANT_UNKNOWN"),
        ("alice", "", "-", "TENANT_UNKNOWN"),
        ("alice", "", "Acme", "TENANT_UNKNOWN"),
        ("alice", "", "acme ", "TENANT_UNKNOWN"),
        ("alice", "", "acme/pools/prod", "TENANT_UNKNOWN"),
        ("root", "", "nothing", "TENANT_UNKNOWN"),
        ("eve", "", "acme", "TENANT_UNKNOWN"),
        ("carol", "", "", "TENANT_DISABLED"),
        ("root", "", "gone", "TENANT_DISABLED"),
        ("alice", "", "gone", "TENANT_UNKNOWN"),
    ],
)
def test_the_tenant_of_a_call_is_said_or_the_callers_own(user: str, own: str, wanted: str, expected: str) -> None:
    """What x-tenant says where the caller has a role, its own, or the only one of its bindings."""
    try:
        found = Policy(TWO).access(Principal(f"users/{user}", tenant=own), wanted).tenant
    except CloudspanError as error:
        found = error.reason
    assert found == expected


def test_a_tenant_of_others_is_refused_as_one_that_does_not_exist() -> None:
    """But for the name that the caller gave."""
    policy, said = Policy(TWO), []
    for wanted in ("beta", "none"):
        with pytest.raises(NotFound) as refused:
            policy.access(Principal("users/alice"), wanted)
        said.append(refused.value.message.replace(wanted, "?"))
    assert said[0] == said[1]


def test_a_caller_with_several_tenants_is_told_which() -> None:
    """Of its own, and of no others."""
    with pytest.raises(InvalidRequest, match=r"metadata x-tenant: acme, beta$"):
        Policy(TWO).access(Principal("users/bob"), "")


def test_a_call_asks_again_what_the_call_before_was_given() -> None:
    """The same access, so that it costs a lookup; aliases count as the subject does."""
    policy = Policy(
        (*TWO, policy_pb2.Binding(name="tenants/beta/bindings/g", member="groups/ops", role="roles/viewer"))
    )
    ops = Principal("users/eve", aliases=("groups/ops",))
    assert policy.access(ops, "") is policy.access(Principal("users/eve", aliases=("groups/ops",)), "")
    assert policy.access(ops, "").roles == ("viewer",)
    assert policy.tenants_of(ops.members) == ("beta",)
    assert repr(policy.access(ops, "")) == "<TenantAccess beta: no pool>"
    assert repr(policy).startswith("<Policy 0: 10 rows, 5 members>")


def test_the_installation_has_an_administrator_only_by_a_binding_of_all_tenants() -> None:
    """One of a single tenant does not count, nor a role without `administer`."""
    assert Policy(TWO).has_administrator
    assert not Policy(row for row in TWO if "/-/" not in row.name).has_administrator
    assert not Policy([binding("-", "root", "member")]).has_administrator


def test_built_in_roles_hold_what_the_one_before_holds_and_more() -> None:
    """Viewer, operator, member, admin."""
    assert [" ".join(role.permissions) for role in BUILT_IN.values()] == [
        "read", "read operate", "read operate create delete", "read operate create delete administer",
    ]  # fmt: skip
    assert set(VERBS) == set(Permission.values()) - {0, 6, 7}


def test_the_gateways_own_work_reaches_every_cluster_and_shows_nothing_of_other_tenants() -> None:
    """Why an instance is in its state may name their clusters, and the stage of an operation says it."""
    instance = Instance("i-1", "x", "127.0.0.1:1", (1, 1), "1.0")
    seen = Seen(instance, Endpoint("i-1", "127.0.0.1:1"), EJECTED, "claims platforms/x/clusters/two")
    platforms = {tag: replace(route, instances=(seen,)) for tag, route in SNAPSHOT.platforms.items()}
    view = whole_table().view(Snapshot(MappingProxyType(platforms)))
    assert [route.ref for route in view.matching(ClusterRef("-", "-"))] == list(CLUSTERS)
    assert "claims" not in str(nobody_serves(view.platform("x"), CLUSTERS[0]))
