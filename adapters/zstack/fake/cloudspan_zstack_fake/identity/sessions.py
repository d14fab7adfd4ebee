"""Who may call: sessions, which expire and are counted, and access keys, which sign each request."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_zstack_fake.api import stamps
from cloudspan_zstack_fake.store import ADMIN
from cloudspan_zstack_fake.wire import BadRequest, Call, Failure, Handler, Identity

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.store import Store

_MAX_SKEW_S = 900
_NO_KEYS = "RestAuthenticationType type: ZStack was not registered by any RestAuthenticationBackend"


@dataclass(slots=True)
class Session:
    """One login."""

    uuid: str
    account: str
    user: str
    created: float
    expires: float


def digest(password: str) -> str:
    """Return a password as it travels and is kept: SHA-512 in lower-case hex."""
    return hashlib.sha512(password.encode()).hexdigest()


class Sessions:
    """The sessions and access keys of one cloud."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sessions: dict[str, Session] = {}
        self.handlers: dict[str, Handler] = {
            "LogInByAccount": self._by_account,
            "LogInByUser": self._by_user,
            "LogIn": self._generic,
            "LogOut": self._log_out,
            "RenewSession": self._renew,
            "ValidateSession": self._validate,
            "CreateAccessKey": self._create_key,
            "DeleteAccessKey": self._delete_key,
            "ChangeAccessKeyState": self._change_key,
        }

    def __repr__(self) -> str:
        return f"<Sessions: {len(self._living())} living>"

    def living(self) -> int:
        """Return how many sessions have not ended."""
        return len(self._living())

    def end(self, uuid: str = "", account: str = "") -> None:
        """End one session, those of an account, or all."""
        for session in list(self._sessions.values()):
            if uuid in ("", session.uuid) and account in ("", session.account):
                del self._sessions[session.uuid]

    def identify(self, call: Call) -> Identity | None:
        """Return who calls by the Authorization header; None for a session that is unknown or over.

        Raises:
            BadRequest: The header is missing or malformed, or (403) the Date is too far off.
            Failure: ID.1001, the access key or its signature is wrong.
        """
        header = call.headers.get("Authorization", "")
        if not header:
            raise BadRequest("missing header 'Authorization'")
        scheme, _, value = header.partition(" ")
        if scheme == "ZStack" and not self._store.settings.commercial:
            raise BadRequest(_NO_KEYS, 500)
        if scheme == "OAuth" and value:
            return self._of_session(value.strip())
        if scheme == "ZStack" and ":" in value:
            return self._of_key(call, value)
        raise BadRequest("Authorization type must be 'OAuth'")

    def _of_session(self, uuid: str) -> Identity | None:
        session = self._sessions.get(uuid)
        if session is None or session.expires <= self._store.now():
            return None
        return self._identity(session.account, session.user, session.uuid)

    def _identity(self, account: str, user: str, session: str = "") -> Identity:
        kind = self._store.accounts.present(account)["type"]
        return Identity(account, user, kind == "SystemAdmin", session)

    def _of_key(self, call: Call, value: str) -> Identity:
        key_id, _, signature = value.strip().partition(":")
        date = call.headers.get("Date", "")
        self._check_date(date)
        key = next((row for row in self._store.access_keys if row["AccessKeyID"] == key_id), None)
        if key is None or key["state"] != "Enabled":
            raise Failure("ID.1001", f"access key id[{key_id}] is not found or disabled")
        signed = f"{call.method}\n{date}\n{call.path}".encode()
        made = base64.b64encode(hmac.new(key["AccessKeySecret"].encode(), signed, hashlib.sha1).digest())
        if not hmac.compare_digest(made, signature.encode()):
            raise Failure("ID.1001", f"wrong accessKey signature for access key id[{key_id}]")
        return self._identity(key["accountUuid"], key["userUuid"])

    def _check_date(self, date: str) -> None:
        if not date:
            raise BadRequest("missing header 'Date'")
        try:
            told = stamps.parse_wall(date)
        except ValueError:
            raise BadRequest(f"invalid header 'Date': {date}") from None
        # The zone is not looked at, only what the clock shows: a right time in another zone is refused.
        here = stamps.wall(self._store.now(), self._store.settings.utc_offset_s)
        if abs((told - here).total_seconds()) > _MAX_SKEW_S:
            raise BadRequest("requestTimeTooSkewed", 403)

    def _by_account(self, call: Call) -> Json:
        return self._log_in_account(call.params["accountName"], call.params["password"])

    def _generic(self, call: Call) -> Json:
        if call.params["loginType"] != "account":
            raise Failure("SYS.1007", f"unsupported login type[{call.params['loginType']}]")
        return self._log_in_account(call.params["username"], call.params["password"])

    def _log_in_account(self, name: str, password: str) -> Json:
        row = next((row for row in self._store.accounts if row["name"] == name), None)
        if row is None or row["_password"] != password:
            raise Failure("ID.1000", "wrong account name or password")
        return self._open(row["uuid"], row["uuid"])

    def _by_user(self, call: Call) -> Json:
        params = call.params
        account = self._store.accounts.get(params.get("accountUuid")) or next(
            (row for row in self._store.accounts if row["name"] == params.get("accountName")), None
        )
        users = self._store.users.where(accountUuid=account["uuid"], name=params["userName"]) if account else []
        if not users or users[0]["_password"] != params["password"]:
            raise Failure("ID.1000", "wrong account or username or password")
        return self._open(users[0]["accountUuid"], users[0]["uuid"])

    def _open(self, account: str, user: str) -> Json:
        store, now = self._store, self._store.now()
        if store.config("identity", "enable.unique.session") == "true":
            for session in [one for one in self._sessions.values() if one.user == user]:
                del self._sessions[session.uuid]
        limit = int(store.config("identity", "session.maxConcurrent"))
        if sum(session.user == user for session in self._living()) >= limit:
            raise Failure("ID.1006", f"Login sessions hit limit of max allowed concurrent login sessions: {limit}")
        life_s = float(store.config("identity", "session.timeout"))
        session = Session(store.new_uuid(), account, user, now, now + life_s)
        self._sessions[session.uuid] = session
        return {"inventory": self._shown(session)}

    def _living(self) -> list[Session]:
        now = self._store.now()
        return [session for session in self._sessions.values() if session.expires > now]

    def _shown(self, session: Session) -> Json:
        stamp = self._store.stamp
        return {
            "uuid": session.uuid, "accountUuid": session.account, "userUuid": session.user,
            "expiredDate": stamp(session.expires), "createDate": stamp(session.created),
            "noSessionEvaluation": False,
        }  # fmt: skip

    def _log_out(self, call: Call) -> Json:
        self._sessions.pop(call.uuid(), None)
        return {}

    def _validate(self, call: Call) -> Json:
        return {"valid": self._of_session(call.uuid()) is not None}

    def _renew(self, call: Call) -> Json:
        session = self._sessions.get(call.uuid())
        if session is None:
            raise Failure("ID.1001", "Session expired")
        life_s = call.params.get("duration") or float(self._store.config("identity", "session.timeout"))
        session.expires = self._store.now() + life_s
        return {"inventory": self._shown(session)}

    def _create_key(self, call: Call) -> Json:
        params, who = call.params, call.identity
        if not who.admin and params["accountUuid"] != who.account:
            raise Failure("ID.1002", "an access key of another account needs the administrator")
        row = self.new_key(params["accountUuid"], params["userUuid"], params.get("description"))
        return {"inventory": {name: value for name, value in row.items() if name[0] != "_" and value is not None}}

    def new_key(self, account: str, user: str, description: str | None = None) -> Json:
        """Add an access key."""
        store = self._store
        number = len(store.access_keys)
        return store.new_row(
            store.access_keys, account, description=description, accountUuid=account, userUuid=user or ADMIN,
            AccessKeyID=store.fixed_uuid("key-id", account, str(number))[:20],
            AccessKeySecret=digest(store.fixed_uuid("key-secret", account, str(number)))[:40], state="Enabled",
        )  # fmt: skip

    def _delete_key(self, call: Call) -> Json:
        self._store.drop(self._store.access_keys, call.uuid())
        return {}

    def _change_key(self, call: Call) -> Json:
        row = self._store.access_keys.present(call.uuid())
        self._store.touch(row, state="Enabled" if call.params["stateEvent"] == "enable" else "Disabled")
        return {"inventory": {name: row[name] for name in ("uuid", "accountUuid", "userUuid", "AccessKeyID", "state")}}
