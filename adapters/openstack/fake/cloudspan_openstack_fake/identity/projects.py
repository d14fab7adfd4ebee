"""The fake Keystone: logins by password, token and application credential, and what hangs on a token.

Bodies and statuses were recorded from a Zed Keystone. An unscoped password login of a user with a default project
is scoped to that project, which clients are easily surprised by.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_openstack_fake.identity import discovery
from cloudspan_openstack_fake.rows import AppCredential
from cloudspan_openstack_fake.store import micros, parse_time
from cloudspan_openstack_fake.wire import TITLES, Call, Refused, Routes, empty, html

if TYPE_CHECKING:
    from cloudspan_openstack_fake.identity.tokens import Token, TokenMint
    from cloudspan_openstack_fake.rows import Project, User
    from cloudspan_openstack_fake.store import Store

DOMAIN = {"id": "default", "name": "Default"}
_NO = "The request you have made requires authentication."
_MALFORMED = (
    "The server could not comply with the request since it is either malformed or otherwise incorrect. "
    "The client is assumed to be in error."
)


class Keystone:
    """The identity service at `/identity`."""

    name = "identity"

    def __init__(self, store: Store, mint: TokenMint) -> None:
        self._store, self._mint = store, mint
        self.routes = Routes()
        self.routes.add_all(
            {
                "POST /v3/auth/tokens": self._login,
                "GET /v3/auth/tokens": self._validate,
                "HEAD /v3/auth/tokens": self._validate,
                "DELETE /v3/auth/tokens": self._revoke,
                "GET /v3/auth/projects": self._my_projects,
                "GET /v3/auth/catalog": self._my_catalogue,
                "GET /v3/projects": self._list_projects,
                "GET /v3/projects/{id}": self._get_project,
                "GET /v3/users": self._list_users,
                "GET /v3/users/{id}": self._get_user,
                "GET /v3/users/{id}/projects": self._user_projects,
                "POST /v3/users/{id}/password": self._change_password,
                "GET /v3/users/{id}/application_credentials": self._list_app_credentials,
                "POST /v3/users/{id}/application_credentials": self._create_app_credential,
                "GET /v3/users/{id}/application_credentials/{app}": self._get_app_credential,
                "DELETE /v3/users/{id}/application_credentials/{app}": self._delete_app_credential,
                "GET /v3/regions": self._list_regions,
            }
        )

    def public(self, call: Call) -> Reply | None:
        if call.method == "POST" and call.path == "/v3/auth/tokens":
            return self._login(call)
        if call.method == "POST" and call.path.endswith("/password"):
            found = self.routes.find(call.method, call.path)
            if found:
                call.params = found[1]
                return self._change_password(call)
        return discovery.versions_of(call)

    def negotiate(self, call: Call) -> None:
        call.version = (3, 14)

    def refusal(self, call: Call, refused: Refused) -> Reply:
        if refused.html:
            return html(refused.status, refused.message)
        error = {"code": refused.status, "message": refused.message, "title": TITLES[refused.status]}
        answer = reply({"error": error}, refused.status)
        if refused.status == 401:
            answer.headers["WWW-Authenticate"] = f'Keystone uri="{call.base}/identity/v3"'
        return answer

    def decorate(self, call: Call, answer: Reply) -> None:
        answer.headers.setdefault("Vary", "X-Auth-Token")
        answer.headers.setdefault("x-openstack-request-id", call.request_id)

    def _login(self, call: Call) -> Reply:
        call.bad_json = f"Expecting to find valid JSON in request body. {_MALFORMED}"
        auth = _member(call.document(), "auth", "request body")
        identity = _member(auth, "identity", "auth")
        methods = identity.get("methods") or []
        scope = auth.get("scope")
        token = None
        for method in methods:
            part = _member(identity, method, "identity")
            if method == "password":
                user = self._by_password(part)
                token = self._mint.issue(user, self._scope(user, scope), ("password",))
            elif method == "token":
                token = self._by_token(part, scope)
            elif method == "application_credential":
                token = self._by_app_credential(part, scope)
        if token is None:
            raise Refused(401, _NO)
        return reply({"token": self._document(call, token)}, 201, X_Subject_Token=token.id)

    def _by_password(self, part: Json) -> User:
        asked = _member(part, "user", "password")
        user = self._find_user(asked)
        if user is None or asked.get("password") != user.password:
            raise Refused(401, _NO)
        return user

    def _by_token(self, part: Json, scope: Json | str | None) -> Token:
        old = self._mint.valid(str(part.get("id", "")))
        if old is None:
            raise Refused(404, "Could not recognize Fernet token")
        if old.app_credential_id:
            raise Refused(
                403,
                "You are not authorized to perform the requested action: "
                "Using a delegated token to create another token is not allowed..",
            )
        return self._mint.exchange(old, self._scope(self._store.users[old.user_id], scope))

    def _by_app_credential(self, part: Json, scope: Json | str | None) -> Token:
        found = self._find_app_credential(part)
        if found.secret != part.get("secret"):
            raise Refused(401, _NO)
        if found.expires_at is not None and found.expires_at <= self._store.now():
            raise Refused(401, _NO)
        if scope is not None:
            text = "Error authenticating with application credential: Application credentials cannot request a scope."
            raise Refused(401, text)
        user = self._store.users[found.user_id]
        return self._mint.issue(user, found.project_id, ("application_credential",), found.id)

    def _find_app_credential(self, part: Json) -> AppCredential:
        known = self._store.app_credentials
        wanted = str(part.get("id") or "")
        if not wanted:
            user = self._find_user(part.get("user") or {})
            mine = (row for row in known.values() if user and row.user_id == user.id)
            wanted = next((row.id for row in mine if row.name == part.get("name")), str(part.get("name")))
        if wanted not in known:
            raise Refused(404, f"Could not find Application Credential: {wanted}.")
        return known[wanted]

    def _find_user(self, asked: Json) -> User | None:
        if "id" in asked:
            return self._store.users.get(asked["id"])
        return next((user for user in self._store.users.values() if user.name == asked.get("name")), None)

    def _scope(self, user: User, scope: Json | str | None) -> str:
        """Return the project id that a login asks for; 401 for one it may not have."""
        if scope is None:
            return user.project_ids[0] if user.has_default_project and user.project_ids else ""
        if scope == "unscoped" or not isinstance(scope, dict):
            return ""
        asked = scope.get("project") or {}
        for project_id in user.project_ids:
            if asked.get("id") == project_id or asked.get("name") == self._store.projects[project_id].name:
                return project_id
        raise Refused(401, _NO)

    def _document(self, call: Call, token: Token) -> Json:
        user = self._store.users[token.user_id]
        shown: Json = {
            "methods": list(token.methods),
            "user": {"domain": DOMAIN, "id": user.id, "name": user.name, "password_expires_at": None},
            "audit_ids": list(token.audit_ids),
            "expires_at": f"{micros(token.expires_at)}Z",
            "issued_at": f"{micros(token.issued_at)}Z",
        }
        if token.project_id:
            project = self._store.projects[token.project_id]
            shown["project"] = {"domain": DOMAIN, "id": project.id, "name": project.name}
            shown["is_domain"] = False
            shown["roles"] = self._roles(user)
            shown["catalog"] = discovery.catalogue(self._store, call.base, project.id)
        if token.app_credential_id:
            row = self._store.app_credentials[token.app_credential_id]
            shown["application_credential"] = {"id": row.id, "name": row.name, "restricted": not row.unrestricted}
        return shown

    def _roles(self, user: User) -> list[Json]:
        names = ("admin", "member", "reader") if user.is_admin else ("member", "reader")
        return [{"id": self._store.fixed_id("role", name).replace("-", ""), "name": name} for name in names]

    def _subject(self, call: Call, action: str) -> Token:
        subject = call.headers.get("X-Subject-Token")
        if subject is None:
            raise Refused(403, f"You are not authorized to perform the requested action: identity:{action}.")
        token = self._mint.valid(subject)
        if token is None:
            known = subject.startswith("gAAAAA")
            raise Refused(404, "Failed to validate token" if known else "Could not recognize Fernet token")
        return token

    def _validate(self, call: Call) -> Reply:
        token = self._subject(call, "validate_token")
        return reply({"token": self._document(call, token)}, X_Subject_Token=token.id)

    def _revoke(self, call: Call) -> Reply:
        self._mint.revoke(self._subject(call, "revoke_token").id)
        return empty()

    def _my_projects(self, call: Call) -> Reply:
        return self._projects_of(call, call.identity.user)

    def _user_projects(self, call: Call) -> Reply:
        return self._projects_of(call, self._self_or_admin(call, "list_user_projects"))

    def _projects_of(self, call: Call, user: User) -> Reply:
        rows = [_project(call, self._store.projects[project_id]) for project_id in user.project_ids]
        return _listing(call, "projects", rows)

    def _my_catalogue(self, call: Call) -> Reply:
        return reply({"catalog": discovery.catalogue(self._store, call.base, call.project_id)})

    def _list_projects(self, call: Call) -> Reply:
        _admin(call, "list_projects")
        name = call.one("name")
        rows = [_project(call, row) for row in self._store.projects.values() if name in ("", row.name)]
        return _listing(call, "projects", rows)

    def _get_project(self, call: Call) -> Reply:
        wanted = call.params["id"]
        if wanted not in call.identity.user.project_ids:
            _admin(call, "get_project")
        if wanted not in self._store.projects:
            raise Refused(404, f"Could not find project: {wanted}.")
        return reply({"project": _project(call, self._store.projects[wanted])})

    def _list_users(self, call: Call) -> Reply:
        _admin(call, "list_users")
        name = call.one("name")
        return _listing(call, "users", [_user(call, u) for u in self._store.users.values() if name in ("", u.name)])

    def _get_user(self, call: Call) -> Reply:
        return reply({"user": _user(call, self._self_or_admin(call, "get_user"))})

    def _self_or_admin(self, call: Call, action: str) -> User:
        wanted = call.params["id"]
        if wanted != call.identity.user.id:
            _admin(call, action)
        user = self._store.users.get(wanted)
        if user is None:
            raise Refused(404, f"Could not find user: {wanted}.")
        return user

    def _change_password(self, call: Call) -> Reply:
        change = _member(call.document(), "user", "request body")
        user = self._store.users.get(call.params["id"])
        if user is None or change.get("original_password") != user.password:
            raise Refused(401, _NO)
        user.password = str(change["password"])
        self._mint.revoke_user(user.id)
        return empty()

    def _create_app_credential(self, call: Call) -> Reply:
        user, asked = self._self_or_admin(call, "create_application_credential"), call.document()
        asked = _member(asked, "application_credential", "request body")
        name = str(asked.get("name"))
        if any(row.user_id == user.id and row.name == name for row in self._store.app_credentials.values()):
            text = f"Duplicate entry found with name {name}."
            raise Refused(409, f"Conflict occurred attempting to store application_credential - {text}")
        secret = asked.get("secret") or base64.urlsafe_b64encode(self._store.random.randbytes(64)).decode().rstrip("=")
        ends = parse_time(str(asked["expires_at"])) if asked.get("expires_at") else None
        row_id = self._store.new_id().replace("-", "")
        row = AppCredential(row_id, name, secret, user.id, call.project_id, asked.get("description"), ends)
        self._store.app_credentials[row.id] = row
        shown = self._app_credential(call, row)
        return reply({"application_credential": {**shown, "secret": secret}}, 201)

    def _list_app_credentials(self, call: Call) -> Reply:
        user = self._self_or_admin(call, "list_application_credentials")
        rows = [row for row in self._store.app_credentials.values() if row.user_id == user.id]
        return _listing(call, "application_credentials", [self._app_credential(call, row) for row in rows])

    def _get_app_credential(self, call: Call) -> Reply:
        return reply({"application_credential": self._app_credential(call, self._own_app_credential(call))})

    def _delete_app_credential(self, call: Call) -> Reply:
        del self._store.app_credentials[self._own_app_credential(call).id]
        return empty()

    def _own_app_credential(self, call: Call) -> AppCredential:
        user = self._self_or_admin(call, "get_application_credential")
        row = self._store.app_credentials.get(call.params["app"])
        if row is None or row.user_id != user.id:
            raise Refused(404, f"Could not find Application Credential: {call.params['app']}.")
        return row

    def _app_credential(self, call: Call, row: AppCredential) -> Json:
        more = {"domain_id": None, "description": None, "options": {"immutable": True}}
        return {
            "id": row.id,
            "name": row.name,
            "description": row.description,
            "user_id": row.user_id,
            "project_id": row.project_id,
            "system": None,
            "expires_at": micros(row.expires_at),
            "unrestricted": row.unrestricted or None,
            "roles": [{**role, **more} for role in self._roles(self._store.users[row.user_id])],
            "links": {"self": f"{call.url}/v3/application_credentials/{row.id}"},
        }

    def _list_regions(self, call: Call) -> Reply:
        links = {"self": f"{call.url}/v3/regions/{discovery.REGION}"}
        row = {"id": discovery.REGION, "description": "", "parent_region_id": None, "links": links}
        return _listing(call, "regions", [row])


def _member(document: Json, key: str, where: str) -> Json:
    found = document.get(key)
    if not isinstance(found, dict):
        raise Refused(400, f"Expecting to find {key} in {where}. {_MALFORMED}")
    return found


def _admin(call: Call, action: str) -> None:
    if not call.identity.is_admin:
        raise Refused(403, f"You are not authorized to perform the requested action: identity:{action}.")


def _listing(call: Call, key: str, rows: list[Json]) -> Reply:
    return reply({key: rows, "links": {"next": None, "self": f"{call.url}{call.path}", "previous": None}})


def _project(call: Call, row: Project) -> Json:
    return {
        "id": row.id,
        "name": row.name,
        "domain_id": "default",
        "description": row.description,
        "enabled": True,
        "parent_id": "default",
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": f"{call.url}/v3/projects/{row.id}"},
    }


def _user(call: Call, row: User) -> Json:
    default = {"default_project_id": row.project_ids[0]} if row.has_default_project and row.project_ids else {}
    return {
        "id": row.id,
        "name": row.name,
        "domain_id": "default",
        "enabled": True,
        **default,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"{call.url}/v3/users/{row.id}"},
    }
