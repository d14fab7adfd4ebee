"""Glance's images: what of them has changed since a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import image_pb2

if TYPE_CHECKING:
    from adapters.openstack.tests.conftest import Lab

Image = image_pb2.Image


async def test_what_has_changed_of_images_is_asked_of_glance(member: Lab) -> None:
    """New and tagged ones; a deleted one is listed no more."""
    bodies = [{"name": name, "disk_format": "raw", "container_format": "bare"} for name in ("tagged", "deleted", "old")]
    tagged, deleted, _ = [(await member.native("POST", "image", "/images", body))["id"] for body in bodies]
    await member.cloud.control.advance(100)
    since = member.clock.now() - 10
    await member.session.send(member.call(), "PUT", "image", f"/images/{tagged}/tags/t", None)
    await member.native("DELETE", "image", f"/images/{deleted}")
    new = (await member.native("POST", "image", "/images", bodies[0]))["id"]
    page = await member.image.list_images(member.call(), member.query(Image, since=since))
    assert page.changes_only
    assert {item.name.rpartition("/")[2] for item in page.items} == {tagged, new}
