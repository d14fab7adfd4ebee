"""UserService over a real gateway: who may do what to whom, and what each change does to sessions."""

from __future__ import annotations

import grpc
import pytest
from gateway.tests.callers import refused
from gateway.tests.calls import call
from gateway.tests.password_login import ALICE, BOB, CAROL, OTHER_PASSWORD, PASSWORD, peopled
from google.protobuf import field_mask_pb2

from cloudspan.v1 import policy_pb2, user_pb2
from cloudspan_common.errors import from_status, status_of
from cloudspan_gateway.identity.password_login import users
from cloudspan_gateway.storage.tables import bindings

CODE = grpc.StatusCode
NOBODY = "users/nobody"
DAVE = {"user_id": "dave", "password": PASSWORD}


@pytest.fixture
async def running():
    async with peopled() as opened:
        yield opened


def heard(error, *names):
    """What a caller hears, with names taken out."""
    found = from_status(status_of(error))
    text = found.message
    for name in names:
        text = text.replace(name, "NAME")
    return found.code, found.reason, text


async def bind(running, member, tenant="acme", role="roles/admin", binding="b1"):
    """Give a role to a member, as the policy has it."""
    message = policy_pb2.Binding(name=f"tenants/{tenant}/bindings/{binding}", member=member, role=role)
    values = {"tenant": tenant, "binding": binding, "member": member, "row": message.SerializeToString()}
    await running.gateway.database.transact(lambda conn: conn.execute(bindings.insert().values(values)))


async def bound(running):
    return await running.gateway.database.read(lambda conn: [row.member for row in conn.execute(bindings.select())])


async def test_an_administrator_creates_a_user_in_its_own_tenant(running):
    """Who then logs in."""
    bob = await running.logged_in(BOB)
    user = await bob.call("CreateUser", user={"display_name": "Dave"}, **DAVE)
    assert (user.name, user.tenant, user.display_name) == ("users/dave", "tenants/acme", "Dave")
    assert user.create_time.seconds == int(running.clock.now())
    dave = await running.logged_in("dave")
    assert (await dave.call("GetUser", name="users/dave")).login_time.seconds == int(running.clock.now())


async def test_a_tenant_that_the_caller_does_not_manage_is_one_that_is_not_there(running):
    """The same words; an administrator of the installation says which one it means."""
    bob, alice = await running.logged_in(BOB), await running.logged_in()
    answers = set()
    for tenant in ("tenants/default", "tenants/nowhere", "tenants/-", "default"):
        error = await refused(bob.call("CreateUser", user={"tenant": tenant}, **DAVE))
        answers.add(heard(error, tenant))
    assert [answer[:2] for answer in answers] == [(CODE.NOT_FOUND, "TENANT_UNKNOWN")]
    assert heard(await refused(alice.anywhere().call("CreateUser", **DAVE)))[1] == "REQUIRED_FIELD_MISSING"
    made = await alice.anywhere().call("CreateUser", user={"tenant": "tenants/acme"}, **DAVE)
    assert made.tenant == "tenants/acme"


@pytest.mark.parametrize(
    "user", ["Dave", "dave/../x", "-", "", ".dave", "d" * 65, "dave\n", "дейв", "users/dave", "a b"]
)
async def test_names_are_lower_case_letters_digits_and_a_few_signs(running, user):
    """Nothing that looks like another name, is a wildcard, or has a meaning in a path."""
    bob = await running.logged_in(BOB)
    error = await refused(bob.call("CreateUser", user_id=user, password=PASSWORD))
    assert heard(error)[1] in ("MALFORMED_NAME", "REQUIRED_FIELD_MISSING")


async def test_a_name_is_given_once_in_the_installation_and_a_weak_password_never(running):
    """Also where the other user is of another tenant."""
    bob = await running.logged_in(BOB)
    taken = await refused(bob.call("CreateUser", user_id="alice", password=PASSWORD))
    assert heard(taken)[:2] == (CODE.ALREADY_EXISTS, "ALREADY_EXISTS")
    weak = await refused(bob.call("CreateUser", user_id="dave", password="weak-secret"))
    assert (heard(weak)[1], "weak-secret" in str(status_of(weak))) == ("WEAK_PASSWORD", False)
    long = await refused(bob.call("CreateUser", user={"display_name": "x" * 257}, **DAVE))
    assert heard(long)[0] == CODE.INVALID_ARGUMENT


async def test_users_read_themselves_and_administrators_their_tenant(running):
    """Another tenant's user is not found, in the words for one that is not there."""
    bob, carol = await running.logged_in(BOB), await running.logged_in(CAROL)
    assert (await carol.call("GetUser", name=CAROL)).tenant == "tenants/acme"
    assert (await bob.call("GetUser", name=CAROL)).name == CAROL
    denied = {heard(await refused(carol.call("GetUser", name=name)), name) for name in (BOB, ALICE, NOBODY)}
    assert [answer[0] for answer in denied] == [CODE.PERMISSION_DENIED]
    missing = {heard(await refused(bob.call("GetUser", name=name)), name) for name in (ALICE, NOBODY)}
    assert [answer[0] for answer in missing] == [CODE.NOT_FOUND]


async def test_users_are_listed_by_name_in_pages_of_one_tenant(running):
    """Tokens of one tenant don't go on in another."""
    alice, bob = await running.logged_in(), await running.logged_in(BOB)
    first = await bob.call("ListUsers", page_size=1)
    second = await bob.call("ListUsers", page_size=1, page_token=first.next_page_token)
    assert [user.name for page in (first, second) for user in page.users] == [BOB, CAROL]
    assert not second.next_page_token
    everybody = await alice.anywhere().call("ListUsers")
    assert [user.name for user in everybody.users] == [ALICE, BOB, CAROL]
    stolen = await refused(alice.anywhere().call("ListUsers", page_size=1, page_token=first.next_page_token))
    assert heard(stolen)[1] == "PAGE_TOKEN_OTHER_QUERY"


async def test_every_change_of_another_tenants_user_says_that_it_is_not_there(running):
    """For each method, what bob hears of alice is what he hears of nobody."""
    bob = await running.logged_in(BOB)
    requests = {
        "GetUser": lambda name: {"name": name},
        "UpdateUser": lambda name: {"user": user_pb2.User(name=name, disabled=True)},
        "DeleteUser": lambda name: {"name": name},
        "SetPassword": lambda name: {"name": name, "new_password": OTHER_PASSWORD},
        "RemoveOneTimeCodes": lambda name: {"name": name},
        "SetUpOneTimeCodes": lambda name: {"name": name, "password": PASSWORD},
        "ConfirmOneTimeCodes": lambda name: {"name": name, "one_time_code": "123456"},
    }
    for method, fields in requests.items():
        there, nowhere = [heard(await refused(bob.call(method, **fields(name))), name) for name in (ALICE, NOBODY)]
        assert there == nowhere, method
        assert there[0] in (CODE.NOT_FOUND, CODE.PERMISSION_DENIED)
    assert (await running.logged_in()).token


async def test_who_administers_nothing_changes_nobody(running):
    """Itself included, but for password and codes."""
    carol = await running.logged_in(CAROL)
    calls = {
        "CreateUser": DAVE,
        "ListUsers": {},
        "UpdateUser": {"user": user_pb2.User(name=CAROL, disabled=True)},
        "DeleteUser": {"name": CAROL},
        "RemoveOneTimeCodes": {"name": CAROL},
        "SetPassword": {"name": BOB, "new_password": OTHER_PASSWORD},
    }
    for method, fields in calls.items():
        assert (await refused(carol.call(method, **fields))).code() == CODE.PERMISSION_DENIED, method


async def test_a_disabled_user_is_logged_out_and_stays_out(running):
    """Until it is enabled; its display name changes without that."""
    bob, carol = await running.logged_in(BOB), await running.logged_in(CAROL)
    mask = field_mask_pb2.FieldMask(paths=["disabled"])
    await bob.call("UpdateUser", user=user_pb2.User(name=CAROL, disabled=True, display_name="x"), update_mask=mask)
    assert (await refused(carol.call("GetUser", name=CAROL))).code() == CODE.UNAUTHENTICATED
    failed = await refused(running.anonymous.call("CreateSession", user=CAROL, password=PASSWORD))
    assert heard(failed)[1] == "LOGIN_FAILED"
    shown = await bob.call("UpdateUser", user=user_pb2.User(name=CAROL, disabled=False), update_mask=mask)
    assert (shown.disabled, shown.display_name) == (False, "")
    assert (await running.logged_in(CAROL)).token
    renamed = await bob.call("UpdateUser", user=user_pb2.User(name=CAROL, display_name="Carol"))
    assert renamed.display_name == "Carol"


@pytest.mark.parametrize("path", ["tenant", "one_time_codes", "recovery_codes_left", "password", "create_time"])
async def test_what_is_not_to_be_changed_is_refused(running, path):
    """A user can't be moved to another tenant, nor lose its codes by an update."""
    bob = await running.logged_in(BOB)
    user = user_pb2.User(name=CAROL, tenant="tenants/default")
    error = await refused(bob.call("UpdateUser", user=user, update_mask=field_mask_pb2.FieldMask(paths=[path])))
    assert heard(error)[1] == "BAD_UPDATE_MASK"


async def test_a_deleted_user_is_gone_with_its_sessions_and_bindings(running):
    """The bindings of others stay; whoever gets the name later gets nothing with it."""
    bob, carol = await running.logged_in(BOB), await running.logged_in(CAROL)
    await bind(running, CAROL)
    await bind(running, BOB, binding="b2")
    announced = []
    running.gateway.database.subscribe(announced.append)
    await bob.call("DeleteUser", name=CAROL)
    assert announced == ["policy||", "sessions||"]
    assert (await refused(carol.call("GetSession"))).code() == CODE.UNAUTHENTICATED
    assert await bound(running) == [BOB]
    assert heard(await refused(bob.call("GetUser", name=CAROL)))[0] == CODE.NOT_FOUND


async def test_the_last_administrator_of_the_installation_can_not_go(running):
    """Neither be deleted nor disabled, unless somebody else who can log in is one."""
    alice = (await running.logged_in()).anywhere()
    await bind(running, ALICE, "-")
    disable = {"user": user_pb2.User(name=ALICE, disabled=True)}
    for method, fields in (("DeleteUser", {"name": ALICE}), ("UpdateUser", disable)):
        assert heard(await refused(alice.call(method, **fields)))[1] == "LAST_ADMINISTRATOR"
    await bind(running, NOBODY, "-", binding="b2")
    await bind(running, CAROL, "-", role="roles/viewer", binding="b3")
    assert heard(await refused(alice.call("DeleteUser", name=ALICE)))[1] == "LAST_ADMINISTRATOR"
    assert set(await bound(running)) == {ALICE, NOBODY, CAROL}
    await bind(running, BOB, "-", binding="b4")
    await alice.call("DeleteUser", name=ALICE)
    assert set(await bound(running)) == {NOBODY, CAROL, BOB}


async def test_a_tenants_administrator_does_not_become_who_has_roles_beyond_it(running):
    """By a new password, without codes, by deleting and creating anew, or by taking a name that roles wait for."""
    bob, alice = await running.logged_in(BOB), await running.logged_in()
    await bind(running, CAROL, "-")
    await bind(running, "users/erin", "default")
    calls = {
        "SetPassword": {"name": CAROL, "new_password": OTHER_PASSWORD},
        "RemoveOneTimeCodes": {"name": CAROL},
        "DeleteUser": {"name": CAROL},
        "UpdateUser": {"user": user_pb2.User(name=CAROL, disabled=True)},
        "CreateUser": {"user_id": "erin", "password": PASSWORD},
    }
    for method, fields in calls.items():
        answer = heard(await refused(bob.call(method, **fields)))
        assert answer[:2] == (CODE.PERMISSION_DENIED, "MORE_THAN_OWN"), method
    assert (await running.logged_in(CAROL)).token
    await alice.anywhere().call("SetPassword", name=CAROL, new_password=OTHER_PASSWORD)
    await alice.anywhere().call("CreateUser", user_id="erin", password=PASSWORD, user={"tenant": "tenants/acme"})


async def test_users_change_their_own_password_and_end_their_other_sessions(running):
    """The one that asks goes on; the old password does not."""
    here, elsewhere = await running.logged_in(CAROL), await running.logged_in(CAROL)
    await here.call("SetPassword", name=CAROL, password=PASSWORD, new_password=OTHER_PASSWORD)
    assert await here.call("GetSession")
    assert (await refused(elsewhere.call("GetSession"))).code() == CODE.UNAUTHENTICATED
    failed = await refused(running.anonymous.call("CreateSession", user=CAROL, password=PASSWORD))
    assert heard(failed)[1] == "LOGIN_FAILED"
    assert (await running.logged_in(CAROL, OTHER_PASSWORD)).token


async def test_a_stolen_session_does_not_change_the_password(running):
    """The present one is needed, also of an administrator for itself; guessing it is paused like a login."""
    for user in (CAROL, BOB):
        thief = await running.logged_in(user)
        missing = await refused(thief.call("SetPassword", name=user, new_password=OTHER_PASSWORD))
        assert heard(missing)[1] == "REQUIRED_FIELD_MISSING"
        reasons = []
        for number in range(6):
            guess = {"password": f"guess number {number}", "new_password": OTHER_PASSWORD}
            reasons.append(heard(await refused(thief.call("SetPassword", name=user, **guess)))[1])
        assert reasons == ["LOGIN_FAILED"] * 5 + ["LOGIN_PAUSED"]


async def test_an_administrator_lets_a_locked_out_user_in(running):
    """A new password forgets the failures, and ends what sessions there are."""
    bob, carol = await running.logged_in(BOB), await running.logged_in(CAROL)
    for _ in range(5):
        await refused(running.anonymous.call("CreateSession", user=CAROL, password="wrong password"))
    paused = await refused(running.anonymous.call("CreateSession", user=CAROL, password=PASSWORD))
    assert heard(paused)[1] == "LOGIN_PAUSED"
    await bob.call("SetPassword", name=CAROL, new_password=OTHER_PASSWORD)
    assert (await refused(carol.call("GetSession"))).code() == CODE.UNAUTHENTICATED
    assert (await running.logged_in(CAROL, OTHER_PASSWORD)).token


async def test_one_time_codes_are_needed_once_they_are_confirmed_and_not_before(running):
    """A set-up that is given up changes nothing."""
    carol = await running.logged_in(CAROL)
    made = await carol.call("SetUpOneTimeCodes", name=CAROL, password=PASSWORD)
    assert made.uri.startswith(f"otpauth://totp/Cloudspan%20main:carol?secret={made.secret}")
    assert (await running.logged_in(CAROL)).token
    await running.with_codes(carol, CAROL)
    shown = await carol.call("GetUser", name=CAROL)
    assert (shown.one_time_codes, shown.recovery_codes_left) == (True, 10)
    failed = await refused(running.anonymous.call("CreateSession", user=CAROL, password=PASSWORD))
    assert heard(failed)[1] == "LOGIN_FAILED"


async def test_a_set_up_is_confirmed_with_a_code_of_its_own_secret_within_ten_minutes(running):
    """The latest set-up counts, once."""
    carol = await running.logged_in(CAROL)
    confirm = {"name": CAROL, "one_time_code": "123456"}
    assert heard(await refused(carol.call("ConfirmOneTimeCodes", **confirm)))[1] == "ONE_TIME_CODES_NOT_SET_UP"
    authenticator, _ = await running.with_codes(carol, CAROL)
    code = running.code(authenticator)
    again = await refused(carol.call("ConfirmOneTimeCodes", name=CAROL, one_time_code=code))
    assert heard(again)[1] == "ONE_TIME_CODES_NOT_SET_UP"
    await carol.call("SetUpOneTimeCodes", name=CAROL, password=PASSWORD, one_time_code=code)
    await running.clock.advance(30)
    wrong = {"name": CAROL, "one_time_code": running.code(authenticator)}
    assert heard(await refused(carol.call("ConfirmOneTimeCodes", **wrong)))[1] == "LOGIN_FAILED"
    await running.clock.advance(600)
    assert heard(await refused(carol.call("ConfirmOneTimeCodes", **wrong)))[1] == "ONE_TIME_CODES_NOT_SET_UP"
    assert (await running.logged_in(CAROL, code=running.code(authenticator))).token


async def test_a_stolen_session_sets_up_no_codes_and_replaces_none(running):
    """The password is needed, and a code where there are some."""
    carol = await running.logged_in(CAROL)
    wrong = {"name": CAROL, "password": OTHER_PASSWORD}
    assert heard(await refused(carol.call("SetUpOneTimeCodes", **wrong)))[1] == "LOGIN_FAILED"
    await running.with_codes(carol, CAROL)
    for code in ("", "000000"):
        fields = {"name": CAROL, "password": PASSWORD, "one_time_code": code}
        assert heard(await refused(carol.call("SetUpOneTimeCodes", **fields)))[1] == "LOGIN_FAILED"


async def test_guessing_the_code_of_a_set_up_is_paused_like_a_login(running):
    """A million codes are not many."""
    carol = await running.logged_in(CAROL)
    await carol.call("SetUpOneTimeCodes", name=CAROL, password=PASSWORD)
    reasons = []
    for number in range(6):
        fields = {"name": CAROL, "one_time_code": f"00000{number}"}
        reasons.append(heard(await refused(carol.call("ConfirmOneTimeCodes", **fields)))[1])
    assert reasons == ["LOGIN_FAILED"] * 5 + ["LOGIN_PAUSED"]


async def test_an_administrator_removes_codes_when_the_phone_is_lost(running):
    """The password alone is enough then, and the recovery codes are gone."""
    bob, carol = await running.logged_in(BOB), await running.logged_in(CAROL)
    _, recovery = await running.with_codes(carol, CAROL)
    await bob.call("RemoveOneTimeCodes", name=CAROL)
    assert (await running.logged_in(CAROL)).token
    row = await running.gateway.database.read(lambda conn: users.find(conn, "carol"))
    assert (row.codes_secret, row.codes_pending, row.recovery_codes) == (None, None, "")
    assert recovery[0] not in repr(row)


async def test_the_row_of_a_user_shows_no_secret(running):
    """Not its hash, not its sealed codes."""
    row = await running.gateway.database.read(lambda conn: users.find(conn, "carol"))
    assert row.password not in repr(row)
    assert "argon2" not in repr(row)


def _requests():
    """A change of each kind, by whom it is made."""
    return {
        "CreateUser": (BOB, user_pb2.CreateUserRequest(**DAVE)),
        "UpdateUser": (BOB, user_pb2.UpdateUserRequest(user=user_pb2.User(name=CAROL, display_name="C"))),
        "SetPassword": (CAROL, user_pb2.SetPasswordRequest(name=CAROL, password=PASSWORD, new_password=OTHER_PASSWORD)),
        "SetUpOneTimeCodes": (CAROL, user_pb2.SetUpOneTimeCodesRequest(name=CAROL, password=PASSWORD)),
        "RemoveOneTimeCodes": (BOB, user_pb2.RemoveOneTimeCodesRequest(name=CAROL)),
        "DeleteUser": (BOB, user_pb2.DeleteUserRequest(name=CAROL)),
    }


@pytest.mark.parametrize("method", _requests())
async def test_a_change_and_its_event_are_kept_together_or_not_at_all(method):
    """In one transaction: who can't be recorded changes nothing."""
    kept, works = [], [False]

    def keep(conn, events):
        if not works[0]:
            raise RuntimeError("the audit has no room")
        kept.extend(events)

    async with peopled(keep=keep) as running:
        user, request = _requests()[method]
        caller = await running.logged_in(user)

        async def rows():
            return await running.gateway.database.read(lambda conn: conn.execute(users.users.select()).all())

        before = await rows()
        for works[0] in (False, True):
            payload = request.SerializeToString()
            asking = call(f"/cloudspan.v1.UserService/{method}", payload, caller.metadata)
            await running.gateway.pipeline.answer(asking)
            if not works[0]:
                assert asking.ending.code == CODE.INTERNAL
                assert await rows() == before
        assert (asking.ending, asking.event) == (None, None)
        assert [(event.method.rpartition("/")[2], event.subject) for event in kept] == [(method, user)]
