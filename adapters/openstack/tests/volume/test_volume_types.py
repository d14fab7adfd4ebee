"""Volume types: which is the default, and what only administrators see of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import volume_type_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_kit import converted
from cloudspan_openstack.volume.volume_types import EncryptionRow, VolumeTypeRow, VolumeTypes

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

TYPE = volume_type_pb2.VolumeType


async def test_volume_types_say_which_is_the_default(member: Lab) -> None:
    """The listing goes on behind an id, also when that type is gone."""
    (kind,) = await member.everything(member.storage.list_volume_types, TYPE)
    assert (kind.is_default, kind.visibility) == (True, TYPE.VISIBILITY_PUBLIC)
    got = await member.storage.get_volume_type(member.call(kind.name), volume_type_pb2.GetVolumeTypeRequest())
    assert got == kind
    behind = await member.storage.list_volume_types(member.call(), member.query(TYPE, cursor="zzz"))
    assert (list(behind.items), behind.more) == ([], False)


async def test_only_an_administrator_sees_how_a_type_encrypts(admin: Lab, member: Lab) -> None:
    """It is a call for each type, which Cinder refuses to members."""
    for lab, calls in ((member, 0), (admin, 1)):
        await lab.everything(lab.storage.list_volume_types, TYPE)
        assert lab.cloud.control.count("volume", "GET", "/encryption$") == calls


def test_a_row_becomes_a_message_field_by_field() -> None:
    """What only some types have."""
    message = VolumeTypes(ClusterRef("openstack", "east"))._message
    row = converted({"id": "t", "is_public": False, "extra_specs": {"multiattach": "<is> True"}}, VolumeTypeRow)
    encryption = EncryptionRow(provider="luks", cipher="aes", key_size=256, control_location="front-end")
    kind = message(row, encryption, is_default=False)
    assert (kind.visibility, kind.multi_attach, kind.encryption.key_size_bits) == (TYPE.VISIBILITY_PRIVATE, True, 256)
    assert kind.encryption.control_location == TYPE.Encryption.CONTROL_LOCATION_FRONT_END
    plain = message(converted({"id": "t"}, VolumeTypeRow), EncryptionRow(), is_default=True)
    assert (plain.HasField("encryption"), plain.HasField("multi_attach")) == (False, False)
