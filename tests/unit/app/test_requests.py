"""What a person's word on a request becomes."""

import pytest

from liqo.api.kinds import FEDERATION_REQUEST, FOREIGN_CLUSTER
from liqo.api.meta import Wire
from liqo.app.requests import answer, list_requests
from liqo.errors import Invalid
from liqo.identity.cluster_id import new_identity
from manual_clock import ManualClock
from memory_cluster import MemoryCluster

NS = "liqo"
ROME, PARIS, OTHER = "a" * 32, "b" * 32, "c" * 32
UUID = "c7a3e3f0-0000-4000-8000-0123456789ab"


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster(now=ManualClock().now)


async def ask(
    cluster: MemoryCluster, cluster_id: str, name: str, *, jti: str = "jti", keys: Wire | None = None
) -> None:
    spec = {"protocol": 1, "clusterID": cluster_id, "clusterName": name, "namespace": "liqo-there"}
    metadata = {"name": f"{cluster_id}-{jti}", "namespace": NS}
    proof = {"keys": keys or {"keys": []}, "kubeConfig": "sealed", "proof": "signed"}
    await cluster.create(FEDERATION_REQUEST, {"metadata": metadata, "spec": {**spec, **proof}})


def known(cluster: MemoryCluster, name: str) -> Wire:
    found = cluster.seen(FOREIGN_CLUSTER, name)
    assert found is not None
    spec: Wire = found["spec"]
    return spec


@pytest.mark.parametrize("called", [ROME, "rome", f"{ROME}-jti"])
async def test_who_waits_is_called_by_any_of_his_names(cluster: MemoryCluster, called: str) -> None:
    await ask(cluster, ROME, "rome")
    await ask(cluster, PARIS, "paris")
    assert await answer(cluster, NS, called, "Allow") == (ROME, ROME)
    spec = known(cluster, ROME)
    assert (spec["clusterID"], spec["incoming"], spec["join"]) == (ROME, "Allow", False)
    assert (spec["namespace"], spec["allowUntrustedCA"]) == ("liqo-there", True)  # as acceptUntrustedCA says
    assert cluster.seen(FOREIGN_CLUSTER, PARIS) is None


async def test_the_word_goes_to_the_foreign_cluster_that_is_there(cluster: MemoryCluster) -> None:
    await ask(cluster, ROME, "rome")
    spec = {"clusterID": ROME, "join": True, "discoveryType": "Manual"}
    await cluster.create(FOREIGN_CLUSTER, {"metadata": {"name": "ours"}, "spec": spec})
    assert await answer(cluster, NS, "ours", "Deny") == (ROME, "ours")
    assert known(cluster, "ours") == {**spec, "incoming": "Deny"}
    assert len(cluster.objects(FOREIGN_CLUSTER)) == 1


async def test_a_name_that_somebody_else_claims_too_has_to_be_said_by_id(cluster: MemoryCluster) -> None:
    await ask(cluster, ROME, "rome")
    await ask(cluster, OTHER, "rome")
    with pytest.raises(Invalid, match="several clusters") as refused:
        await answer(cluster, NS, "rome", "Allow")
    assert ROME in refused.value.hint
    assert OTHER in refused.value.hint
    assert cluster.objects(FOREIGN_CLUSTER) == []


async def test_whoever_claims_an_id_or_a_known_name_as_his_name_gains_nothing(cluster: MemoryCluster) -> None:
    await ask(cluster, ROME, "rome")
    await ask(cluster, OTHER, ROME)
    assert (await answer(cluster, NS, ROME, "Allow"))[0] == ROME
    spec = {"clusterID": PARIS, "join": False, "discoveryType": "Manual"}
    await cluster.create(FOREIGN_CLUSTER, {"metadata": {"name": "paris"}, "spec": spec})
    await ask(cluster, "d" * 32, "paris")
    assert (await answer(cluster, NS, "paris", "Allow"))[0] == PARIS


async def test_nobody_of_that_name(cluster: MemoryCluster) -> None:
    with pytest.raises(Invalid, match="no cluster that asks") as refused:
        await answer(cluster, NS, "rome", "Deny")
    assert "nobody asks" in refused.value.hint
    await ask(cluster, PARIS, "paris")
    with pytest.raises(Invalid) as refused:
        await answer(cluster, NS, "rome", "Deny")
    assert "paris" in refused.value.hint
    assert [r.spec.cluster_id for r in await list_requests(cluster, NS)] == [PARIS]


async def test_who_is_let_in_under_a_legacy_id_is_known_by_his_key_from_then_on(
    cluster: MemoryCluster,
) -> None:
    keys = new_identity().keys
    await ask(cluster, UUID, "rome", keys=keys.wire())
    await answer(cluster, NS, "rome", "Allow")
    assert known(cluster, UUID)["pin"] == {"signingKey": keys.thumbprint}


async def test_of_several_who_ask_under_one_legacy_id_one_has_to_be_named(cluster: MemoryCluster) -> None:
    first, second = new_identity().keys, new_identity().keys
    await ask(cluster, UUID, "rome", jti="j1", keys=first.wire())
    await ask(cluster, UUID, "rome", jti="j2", keys=second.wire())
    with pytest.raises(Invalid, match="2 clusters ask in the name of rome") as refused:
        await answer(cluster, NS, "rome", "Allow")
    assert f"{UUID}-j1, {UUID}-j2" in refused.value.hint
    await answer(cluster, NS, f"{UUID}-j2", "Allow")
    assert known(cluster, UUID)["pin"] == {"signingKey": second.thumbprint}


async def test_who_is_denied_is_known_by_nothing(cluster: MemoryCluster) -> None:
    await ask(cluster, UUID, "rome", keys=new_identity().keys.wire())
    await answer(cluster, NS, "rome", "Deny")
    assert "pin" not in known(cluster, UUID)
