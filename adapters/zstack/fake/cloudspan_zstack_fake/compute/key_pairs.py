"""SSH key pairs: registered, generated (once shown, not repeatable), attached to VMs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cloudspan_zstack_fake.wire import Call, Failure, Handler

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.identity.quotas import Quotas
    from cloudspan_zstack_fake.store import Store

_FORMATS = ("ssh-rsa ", "ssh-ed25519 ", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-")


class SshKeys:
    """The key pair calls."""

    def __init__(self, store: Store, views: Views, quotas: Quotas) -> None:
        self._store, self._views, self._quotas = store, views, quotas
        self.handlers: dict[str, Handler] = {
            "CreateSshKeyPair": self._create,
            "GenerateSshKeyPair": self._generate,
            "DeleteSshKeyPair": self._delete,
            "AttachSshKeyPairToVmInstance": self._attach,
            "DetachSshKeyPairFromVmInstance": self._detach,
        }

    def _result(self, row: Json) -> Json:
        return {"inventory": self._views.plain(row)}

    def _create(self, call: Call) -> Json:
        key = call.params["publicKey"].strip()
        if not key.startswith(_FORMATS):
            why = "err: java.lang.NullPointerException"
            raise Failure("SYS.1006", f"failed to load the public key: {key}, {why}")
        if self._store.ssh_keys.where(publicKey=key):
            raise Failure("SYS.1007", "The sshKeyPair already upload")
        self._quotas.check(call, ssh_key_pair__num=1)
        return self._result(self._store.create(self._store.ssh_keys, call, filed_as="VolumeVO", publicKey=key))

    def _generate(self, call: Call) -> Json:
        self._quotas.check(call, ssh_key_pair__num=1)
        # Shaped as a key, but made of random bytes: nothing is ever opened with it.
        noise = base64.b64encode(self._store.random.randbytes(279)).decode()
        row = self._store.create(self._store.ssh_keys, call, publicKey=f"ssh-rsa {noise}")
        words = "RSA PRIVATE KEY"
        secret = f"-----BEGIN {words}-----\n{noise}\n-----END {words}-----\n"
        return {"inventory": {**self._views.plain(row), "privateKey": secret}}

    def _delete(self, call: Call) -> Json:
        uuid = call.uuid()
        self._store.ssh_keys.present(uuid)
        # A VM that is only softly deleted has its keys still.
        if any(uuid in vm["_keys"] for vm in self._store.vms):
            raise Failure("SYS.1007", f"The sshKeyPair[uuid:{uuid}] was in using.")
        self._store.drop(self._store.ssh_keys, uuid)
        return {}

    def _both(self, call: Call) -> tuple[Json, Json]:
        key = self._store.ssh_keys.present(call.params["sshKeyPairUuid"])
        return key, self._store.vms.present(call.params["vmInstanceUuid"])

    def _attach(self, call: Call) -> Json:
        key, vm = self._both(call)
        if key["uuid"] in vm["_keys"]:
            raise Failure(
                "SYS.1006", f"the ssh key pair[uuid:{key['uuid']}] is already attached to vm[uuid:{vm['uuid']}]"
            )
        vm["_keys"].append(key["uuid"])
        return self._result(key)

    def _detach(self, call: Call) -> Json:
        key, vm = self._both(call)
        if key["uuid"] in vm["_keys"]:
            vm["_keys"].remove(key["uuid"])
        return {}
