"""How the adapter logs in to ZStack: by password, as a user, by access key; and out again."""

from __future__ import annotations

import asyncio

import pytest

from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import InvalidRequest, LoginRefused, PlatformFault, QuotaExceeded
from cloudspan_zstack.cloud.clouds import make_cloud, read_cloud
from cloudspan_zstack.cloud.rows import Row

_OPEN = {"endpoint": "http://192.0.2.1:8080/zstack"}


async def _zones(bench):
    return len((await bench.session.query(bench.call(), "/zones", Row)).rows)


async def test_a_hundred_callers_without_a_session_make_one_login(bench):
    """Sessions are few: 500 a user."""
    await asyncio.gather(*(_zones(bench) for _ in range(100)))
    assert (bench.cloud.control.logins(), bench.cloud.control.living_sessions()) == (1, 1)


async def test_the_session_is_logged_out_at_the_end(bench):
    """None is left behind."""
    await _zones(bench)
    await bench.cluster.close()
    assert bench.cloud.control.living_sessions() == 0


async def test_a_user_of_an_account_logs_in_too(make_bench):
    """By the account's name and the user's."""
    bench = make_bench(user="developer")
    assert await _zones(bench) == 1
    assert not bench.session.known_login.is_admin


async def test_the_administrator_is_known_as_such(make_bench):
    """By the account's type."""
    bench = make_bench("admin")
    login = await bench.session.login(bench.call())
    assert (login.is_admin, login.account_name, login.version) == (True, "admin", "5.2.1")


async def test_a_wrong_password_stops_trying_and_shows(make_bench):
    """One login, then none for a while, lest the account locks."""
    bench = make_bench(password="wrong")
    for _ in range(5):
        with pytest.raises(LoginRefused):
            await _zones(bench)
    described = bench.cluster.describe()
    assert (bench.cloud.control.logins(), described.state) == (1, cluster_pb2.Cluster.STATE_LOGIN_REFUSED)


async def test_too_many_sessions_are_told_as_that(bench):
    """And not as wrong credentials."""
    bench.cloud.control.fault("failure", call="LogInByAccount", code="ID.1006", message="too many sessions")
    with pytest.raises(QuotaExceeded) as caught:
        await _zones(bench)
    assert caught.value.reason == "TOO_MANY_SESSIONS"


async def test_a_login_that_fails_behind_its_session_leaves_no_session(bench):
    """Nobody else would log it out."""
    bench.cloud.control.fault("server_error", call="QueryAccount", count=1, status=500)
    with pytest.raises(PlatformFault):
        await _zones(bench)
    assert bench.cloud.control.living_sessions() == 0


async def test_the_servers_zone_is_learned_at_login(bench):
    """Its dates do not tell it."""
    await _zones(bench)
    (row,) = (await bench.session.query(bench.call(), "/accounts", Row, limit=1)).rows
    assert repr(bench.session.zone) == "<ServerZone UTC+08:00, learned>"
    assert abs(bench.session.zone.moment(row.create_date) - bench.clock.now()) < 60


async def test_an_access_key_needs_no_session(make_bench):
    """Each request is signed; the zone is found by trying the likely ones."""
    key, secret = make_bench().cloud.control.access_key()
    bench = make_bench(access_key_id=key, access_key_secret=secret)
    assert await _zones(bench) == 1
    assert (bench.cloud.control.logins(), bench.cloud.control.living_sessions()) == (0, 0)
    assert "Asia/Shanghai" in repr(bench.session.zone)


async def test_a_configured_zone_is_the_one_to_sign_in(make_bench):
    """No request is wasted on others."""
    key, secret = make_bench().cloud.control.access_key()
    bench = make_bench(access_key_id=key, access_key_secret=secret, timezone="+08:00")
    await _zones(bench)
    assert bench.cloud.control.count(call="QueryAccessKey") == 1


async def test_a_wrong_zone_is_told_as_that(make_bench):
    """With what to do."""
    key, secret = make_bench().cloud.control.access_key()
    bench = make_bench(access_key_id=key, access_key_secret=secret, timezone="-05:00")
    with pytest.raises(LoginRefused, match="timezone"):
        await _zones(bench)


async def test_a_wrong_access_key_is_refused_credentials(make_bench):
    """And shown as such."""
    key, _ = make_bench().cloud.control.access_key()
    bench = make_bench(access_key_id=key, access_key_secret="wrong")
    with pytest.raises(LoginRefused):
        await _zones(bench)
    assert bench.cluster.describe().state == cluster_pb2.Cluster.STATE_LOGIN_REFUSED


def _access_keys(cloud):
    """Two keys of one account, as entries of a clouds file, and the row of the first."""
    key, secret = cloud.control.access_key()
    [row] = cloud.store.access_keys.where(AccessKeyID=key)
    made = cloud._building.tools.sessions.new_key(row["accountUuid"], row["accountUuid"])
    pairs = ((key, secret), (made["AccessKeyID"], made["AccessKeySecret"]))
    return [{"access_key_id": one, "access_key_secret": other} for one, other in pairs], row


async def test_an_access_key_that_is_disabled_shows_and_is_not_tried_for_ever(make_bench, cloud):
    """It was good at the login, so one more is tried, and then none for a while."""
    (entry, _), row = _access_keys(cloud)
    bench = make_bench(**entry, timezone="+08:00")
    await _zones(bench)
    cloud.store.touch(row, state="Disabled")
    await bench.clock.advance(5)
    before = cloud.control.count()
    for _ in range(5):
        with pytest.raises(LoginRefused, match="disabled"):
            await _zones(bench)
    assert bench.cluster.describe().state == cluster_pb2.Cluster.STATE_LOGIN_REFUSED
    assert cloud.control.count() - before == 2


async def test_a_request_under_way_when_its_access_key_is_replaced_and_disabled_is_signed_again(make_bench, cloud):
    """Nothing is done of a request whose signature is refused."""
    (old, new), row = _access_keys(cloud)
    bench, successor = make_bench(**old, timezone="+08:00"), make_bench(**new, timezone="+08:00")
    await _zones(bench)
    await _zones(successor)
    cloud.control.fault("latency", call="QueryZone", seconds=5, count=1)
    under_way = asyncio.create_task(_zones(bench))
    await asyncio.sleep(0.02)
    bench.cluster.keeper.hand_over(successor.cluster.keeper)
    cloud.store.touch(row, state="Disabled")
    await bench.clock.advance(5)
    assert await under_way == 1


async def test_no_secret_shows_in_what_is_shown(bench):
    """Neither the password nor the session."""
    await _zones(bench)
    session = bench.cluster.keeper.current().value
    shown = f"{bench.cluster!r} {bench.session!r} {bench.cluster.describe()} {bench.cluster._cloud!r}"
    assert session not in shown
    assert "'password'" not in shown
    assert "password=" not in shown


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"account": "admin"}, "password go together"),
        ({}, "either account and password"),
        ({"account": "a", "password": "b", "access_key_id": "c", "access_key_secret": "d"}, "either account"),
        ({"access_key_id": "c"}, "go together"),
        ({"account": "a", "password": "b", "timezone": "Nowhere/City"}, "not a time zone"),
        ({"account": "a", "password": "b", "passwort": "c"}, "passwort"),
        ({"account": "a", "password": "b", "endpoint": "10.0.0.5:8080"}, "write it like"),
    ],
)
def test_an_entry_that_can_not_work_is_refused(entry, why):
    """Before anything is asked."""
    with pytest.raises(ValueError, match=why):
        make_cloud("lab", _OPEN | entry)


def test_a_cloud_that_is_not_in_the_file_is_named(tmp_path):
    """With those that are."""
    file = tmp_path / "zstack.yaml"
    file.write_text("clouds:\n  lab: {endpoint: 'http://192.0.2.1:8080/zstack/', account: a, password: b}\n")
    assert read_cloud("lab", file).endpoint == "http://192.0.2.1:8080/zstack"
    with pytest.raises(InvalidRequest, match="lab"):
        read_cloud("other", file)


def test_the_revision_changes_with_the_credentials_and_the_digest_of_a_cluster_does_not(make_bench):
    """Two instances that serve the same account agree, whatever its password was."""
    clouds = [make_cloud("lab", _OPEN | {"account": "a", "password": p}) for p in ("b", "c")]
    assert clouds[0].revision != clouds[1].revision
    assert make_bench().cluster.digest == make_bench(password="other").cluster.digest


async def test_the_way_to_the_cloud_is_tried_stage_by_stage(make_bench):
    """A refused login ends the check."""
    good = await make_bench().cluster.check(make_bench().call())
    bad = await make_bench(password="wrong").cluster.check(make_bench().call())
    assert [stage.name for stage in good] == ["dns", "connect", "login", "permissions", "clock"]
    assert all(stage.ok for stage in good[:4])
    assert ([stage.name for stage in bad], bad[-1].ok) == (["dns", "connect", "login"], False)


async def test_an_endpoint_without_the_context_path_is_told_as_that(make_bench, cloud):
    """The web server answers 404 there; that is no lack of the platform's edition."""
    bench = make_bench(endpoint=cloud.endpoint.removesuffix("/zstack"))
    with pytest.raises(LoginRefused, match="needs the server's context path") as caught:
        await _zones(bench)
    assert caught.value.reason == "BAD_LOGIN"
