"""What a cluster says of itself on the LAN."""

from datetime import UTC, datetime, timedelta

import pytest

from liqo.api.cluster_config import DiscoveryConfig
from liqo.api.meta import Wire
from liqo.app.lan_said import forge_said
from liqo.app.own_address import own_door
from liqo.discovery.announcement import parse_announcement
from liqo.errors import Invalid
from liqo.identity.cluster_id import new_identity
from liqo.identity.document import LEEWAY, LIFETIME, forge_document

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
US, THEM = new_identity(), new_identity()
DOOR = "https://10.0.0.1:16443"
TTL = timedelta(seconds=120)
SERVICE = "_liqo._tcp.local."


def config_map(door_url: str = DOOR, text: str = "") -> Wire:
    made = forge_document(
        US, NOW, cluster_id=US.cluster_id, cluster_name="rome", namespace="liqo", door_url=door_url
    )
    return {"data": {"document": text or made}}


@pytest.mark.parametrize("door_url", [DOOR, ""])
async def test_the_door_of_our_document_is_announced(door_url: str) -> None:
    found = own_door(config_map(door_url), US.cluster_id, NOW)
    said = await forge_said(
        DiscoveryConfig(), "https://10.0.0.1:6443", US.cluster_id, "liqo", SERVICE, TTL, door_url=found
    )
    assert ("door" in dict(said.pairs)) == bool(door_url)
    strings = [f"{key}={value}".encode() for key, value in said.pairs]
    assert parse_announcement(strings).door_url == door_url


def test_a_document_that_proves_nothing_names_no_door() -> None:
    assert own_door(config_map(), THEM.cluster_id, NOW) == ""
    assert own_door(config_map(), US.cluster_id, NOW + LIFETIME + 2 * LEEWAY) == ""
    assert own_door(config_map(text="rubbish"), US.cluster_id, NOW) == ""
    assert own_door({}, US.cluster_id, NOW) == ""


async def test_what_no_string_of_a_txt_record_holds_is_not_announced() -> None:
    door_url = f"https://{'a' * 240}:16443"
    with pytest.raises(Invalid, match="door="):
        await forge_said(
            DiscoveryConfig(), "https://10.0.0.1:6443", US.cluster_id, "liqo", SERVICE, TTL, door_url=door_url
        )
