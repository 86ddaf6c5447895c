"""What a person sees and accepts of a cluster whose id is a UUID."""

from datetime import timedelta

import pytest

from liqo.api.kinds import CONFIG_MAP, FOREIGN_CLUSTER
from liqo.api.meta import Key, Wire
from liqo.api.names import WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY
from liqo.app.invites import join_invite
from liqo.app.pins import choose_pin, read_standing, write_pin
from liqo.errors import Invalid
from liqo.identity.cluster_id import new_identity
from liqo.identity.document import forge_document
from liqo.identity.invite import Invite, format_invite
from liqo.identity.trust import fingerprints
from liqo.runtime.secret import Secret
from manual_clock import ManualClock
from memory_cluster import MemoryCluster
from strategies import certificate

NS = "liqo"
UUID = "c7a3e3f0-0000-4000-8000-0123456789ab"
BEFORE: Wire = {"signingKey": "k1", "caFingerprints": fingerprints(certificate("one", 1))}
AFTER: Wire = {"signingKey": "k2", "caFingerprints": fingerprints(certificate("two", 2))}


async def known(cluster_id: str = UUID, **status: Wire | str) -> MemoryCluster:
    cluster = MemoryCluster(now=ManualClock().now)
    body = {"metadata": {"name": "milan"}, "spec": {"clusterID": cluster_id}}
    await cluster.create(FOREIGN_CLUSTER, body)
    key = Key("", "milan")
    await cluster.patch(FOREIGN_CLUSTER, key, {"status": status}, manager="test", subresource="status")
    return cluster


async def test_what_is_shown_is_accepted_and_is_what_it_is_known_by_then() -> None:
    cluster = await known(pin={**BEFORE, "onceTrusted": False}, shown=AFTER)
    standing = await read_standing(cluster, UUID)
    assert (standing.name, standing.known.wire()) == ("milan", BEFORE)
    await write_pin(cluster, standing.name, choose_pin(standing, ""))
    after = await read_standing(cluster, "milan")
    assert (after.known.wire(), after.shown) == (AFTER, None)


async def test_a_key_that_the_owner_told_is_accepted_and_the_ca_stays() -> None:
    cluster = await known(pin={**BEFORE, "onceTrusted": False})
    standing = await read_standing(cluster, "milan")
    assert choose_pin(standing, "k3").wire() == {**BEFORE, "signingKey": "k3"}


async def test_nothing_can_be_accepted_that_is_not_shown() -> None:
    standing = await read_standing(await known(pin={**BEFORE, "onceTrusted": False}), "milan")
    with pytest.raises(Invalid, match="shows nothing but what it is known by"):
        choose_pin(standing, "")


async def test_an_id_that_proves_itself_is_shown_and_has_nothing_to_accept() -> None:
    standing = await read_standing(await known("a" * 32, signingKey="k1"), "milan")
    assert (standing.known.signing_key, standing.legacy) == ("k1", False)
    with pytest.raises(Invalid, match="the hash of its key"):
        choose_pin(standing, "k2")


@pytest.mark.parametrize(
    ("cluster_id", "pin"), [(UUID, {"caFingerprints": BEFORE["caFingerprints"]}), ("", None)]
)
async def test_an_invite_says_by_which_ca_a_legacy_id_is_known(cluster_id: str, pin: Wire | None) -> None:
    clock, us, them = ManualClock(), new_identity(), new_identity()
    cluster = MemoryCluster(now=clock.now)
    document = forge_document(us, clock.now(), cluster_id=us.cluster_id, cluster_name="rome", namespace=NS)
    metadata = {"name": WELL_KNOWN_CONFIG_MAP, "namespace": NS}
    await cluster.create(CONFIG_MAP, {"metadata": metadata, "data": {WELL_KNOWN_KEY: document}})
    invite = Invite(
        cluster_id=cluster_id or them.cluster_id,
        cluster_name="milan",
        namespace=NS,
        server="https://10.0.0.2:6443",
        door_url="",
        ca=", ".join(BEFORE["caFingerprints"]),
        token=Secret("a.b.c"),
        expires=clock.now() + timedelta(minutes=15),
    )
    name = await join_invite(cluster, format_invite(invite), name="", namespace=NS, clock=clock)
    found = cluster.seen(FOREIGN_CLUSTER, name)
    assert found is not None
    assert found["spec"].get("pin") == pin
