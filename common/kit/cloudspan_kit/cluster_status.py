"""How a cluster stands, told from its TokenKeeper: what `Cluster.describe` of every adapter says of login and token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import Unreachable

if TYPE_CHECKING:
    from cloudspan_common.clock import Clock
    from cloudspan_common.tokens import TokenKeeper


def state_of(keeper: TokenKeeper) -> tuple[cluster_pb2.Cluster.State, str]:
    """Return the state of a cluster, and why, in the cloud's own words."""
    state = keeper.state()
    if keeper.current() is not None:
        return cluster_pb2.Cluster.STATE_READY, ""
    if not state.failures:
        return cluster_pb2.Cluster.STATE_CONNECTING, ""
    refused, away = cluster_pb2.Cluster.STATE_LOGIN_REFUSED, cluster_pb2.Cluster.STATE_UNREACHABLE
    return refused if state.is_refused else away, state.last_error or Unreachable.default_reason


def token_state_of(keeper: TokenKeeper, clock: Clock) -> cluster_pb2.TokenState:
    """Return what may be shown of a cluster's token."""
    state, now = keeper.state(), clock.now()
    token = cluster_pb2.TokenState(
        logins=state.logins, renewals=state.renewals, failures=state.failures, last_error=state.last_error
    )
    token.clock_skew.FromMilliseconds(round(state.skew_s * 1000))
    if state.retry_after_s:
        token.retry_time.FromMilliseconds(round((now + state.retry_after_s) * 1000))
    if state.age_s is not None and state.expires_in_s is not None:
        token.age.FromMilliseconds(round(state.age_s * 1000))
        token.expire_time.FromMilliseconds(round((now + state.expires_in_s) * 1000))
    return token
