"""The fake Keystone: logins, expiry, revocation by the second."""

from __future__ import annotations


async def test_a_password_login_gives_a_scoped_token_with_a_catalogue(client, cloud):
    """The catalogue leads to the port that was asked."""
    status, document, headers = await client.login()
    token = document["token"]
    urls = {entry["type"]: entry["endpoints"][0]["url"] for entry in token["catalog"]}
    assert (status, token["project"]["name"], len(headers["X-Subject-Token"])) == (201, "demo", 183)
    assert urls["compute"] == f"{cloud.base_url}/compute/v2.1"
    assert urls["volumev3"].endswith(token["project"]["id"])


async def test_a_wrong_password_is_told_apart_from_nothing(client):
    """A wrong password, an unknown user and a foreign project answer the same 401."""
    answers = [
        await client.login(password="bad"),
        await client.login("nobody"),
        await client.login("demo2", project={"name": "admin"}),
    ]
    assert {(status, document["error"]["message"]) for status, document, _ in answers} == {
        (401, "The request you have made requires authentication.")
    }
    assert answers[0][2]["WWW-Authenticate"].startswith('Keystone uri="')


async def test_an_unscoped_login_lands_in_the_default_project(client):
    """Only `scope: unscoped` gives a token without a project."""
    who = {"name": "demo", "domain": {"name": "Default"}, "password": "demo-password"}
    identity = {"methods": ["password"], "password": {"user": who}}
    _, without, _ = await client.auth({"identity": identity})
    _, unscoped, _ = await client.auth({"identity": identity, "scope": "unscoped"})
    assert without["token"]["project"]["name"] == "demo"
    assert "project" not in unscoped["token"]


async def test_a_token_dies_at_its_expiry_and_a_token_from_it_does_not_live_longer(client, cloud):
    """Token auth never extends expiry."""
    first = await client.login()
    await cloud.control.advance(3000)
    second = await client.auth({"identity": {"methods": ["token"], "token": {"id": first[2]["X-Subject-Token"]}}})
    assert second[1]["token"]["expires_at"] == first[1]["token"]["expires_at"]
    assert (await client.nova("GET", "/servers"))[0] == 200
    await cloud.control.advance(601)
    assert (await client.nova("GET", "/servers"))[0] == 401


async def test_a_login_in_the_second_of_a_revocation_is_dead_and_one_two_seconds_later_lives(client, cloud):
    """Keystone compares whole seconds."""
    cloud.control.revoke_tokens()
    await client.login()
    assert (await client.nova("GET", "/servers"))[0] == 401
    await cloud.control.advance(2)
    await client.login()
    assert (await client.nova("GET", "/servers"))[0] == 200


async def test_deleting_one_token_spares_the_others(client):
    """A single revocation goes by audit id; the second one finds nothing."""
    doomed = client.token
    await client.login()
    first = await client("DELETE", "/identity/v3/auth/tokens", **{"X-Subject-Token": doomed})
    again = await client("DELETE", "/identity/v3/auth/tokens", **{"X-Subject-Token": doomed})
    assert (first[0], again[0], again[1]["error"]["message"]) == (204, 404, "Failed to validate token")
    assert (await client.nova("GET", "/servers"))[0] == 200


async def test_a_password_change_kills_tokens_of_application_credentials_too(client, cloud):
    """The user's revocation reaches what was delegated."""
    app = cloud.clouds()["clouds"]["test-app"]["auth"]
    part = {"id": app["application_credential_id"], "secret": app["application_credential_secret"]}
    identity = {"methods": ["application_credential"], "application_credential": part}
    status, document, _ = await client.auth({"identity": identity})
    assert (status, document["token"]["application_credential"]["name"]) == (201, "demo-app")
    cloud.control.set_password("demo", "new")
    assert (await client.nova("GET", "/servers"))[0] == 401


async def test_an_application_credential_cannot_ask_for_a_scope(client, cloud):
    """Nor can its token be turned into another one."""
    app = cloud.clouds()["clouds"]["test-app"]["auth"]
    part = {"id": app["application_credential_id"], "secret": app["application_credential_secret"]}
    identity = {"methods": ["application_credential"], "application_credential": part}
    scoped = await client.auth({"identity": identity, "scope": {"project": {"name": "demo"}}})
    await client.auth({"identity": identity})
    traded = await client.auth({"identity": {"methods": ["token"], "token": {"id": client.token}}})
    assert (scoped[0], traded[0]) == (401, 403)


async def test_every_service_words_a_401_as_the_real_one_does(client):
    """Glance in HTML, the others in Keystone's JSON, all with WWW-Authenticate."""
    client.token = "stale"
    paths = ("/compute/v2.1/servers", "/network/v2.0/networks", "/volume/v3/volumes", "/image/v2/images")
    answers = [await client("GET", path) for path in paths]
    assert [status for status, _, _ in answers] == [401] * 4
    assert all("WWW-Authenticate" in headers for _, _, headers in answers)
    assert [headers["Content-Type"].split(";")[0] for _, _, headers in answers] == ["application/json"] * 3 + [
        "text/html"
    ]


async def test_an_unscoped_token_gets_empty_lists_and_not_an_error(client):
    """Only Cinder notices, and only by the project in its path."""
    own = (await client.login())[1]["token"]["project"]["id"]
    await client.boot()
    who = {"name": "demo", "domain": {"name": "Default"}, "password": "demo-password"}
    identity = {"methods": ["password"], "password": {"user": who}}
    await client.auth({"identity": identity, "scope": "unscoped"})
    servers, ports = await client.nova("GET", "/servers"), await client.neutron("GET", "/ports")
    assert (servers[:2], ports[:2]) == ((200, {"servers": []}), (200, {"ports": []}))
    assert (await client.cinder("GET", "/volumes"))[0] == 200
    assert (await client.cinder("GET", f"/{own}/volumes"))[1]["badRequest"]["message"] == "Malformed request url"
