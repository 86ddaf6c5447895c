"""A foreign cluster that lies: home does not believe it. Without the one fence each of the lies would be believed."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import pytest

from hostile import CLAIMED, LIES, OFFER, address, believed_offer
from liqo.api.kinds import ADVERTISEMENT, NAMESPACE_MAP, POD
from liqo.api.meta import Key, Wire
from liqo.api.namespace_map import Mapped
from liqo.node.abroad import Place
from liqo.node.networks import Claim
from world import NS, World
from world_pods import SHOP, WEB, Offloading

FEW_SECONDS = timedelta(seconds=5)
CPU_MAX = 40  # ten times what rome has itself
PARIS_S = "paris-s"  # a namespace of a third cluster's on milan


@pytest.fixture
async def offloading(world: World) -> Offloading:
    """Have a pod of rome run in milan, where nobody but the liar writes from now on."""
    made = Offloading(world)
    await made.begin()
    await made.bind()
    await made.run(FEW_SECONDS)
    assert made.runs_once()
    await made.milan.stop()
    return made


async def lie_of_the_pod(offloading: Offloading, **status: object) -> Wire:
    """Have milan say that of the pod; return its status at home."""
    (remote,) = offloading.abroad()
    key = Key.of(remote)
    await offloading.milan.api.patch(
        POD, key, {"status": {"message": "news", **status}}, subresource="status"
    )
    await offloading.world.run(FEW_SECONDS)
    home = offloading.at_home()
    assert home is not None
    assert home["status"].get("message"), "nobody looked at it"
    return dict(home["status"])


async def lie_of_the_map(offloading: Offloading, **status: object) -> None:
    (found,) = offloading.milan.api.objects(NAMESPACE_MAP)
    await offloading.milan.api.patch(NAMESPACE_MAP, Key.of(found), {"status": status}, subresource="status")
    await offloading.world.run(FEW_SECONDS)


# Of pods.


@pytest.mark.parametrize("lie", LIES)
async def test_home_does_not_believe_of_a_pod(offloading: Offloading, lie: str) -> None:
    assert not LIES[lie].believed(await lie_of_the_pod(offloading, **LIES[lie].status))


@pytest.mark.parametrize("lie", LIES)
async def test_home_would_believe_of_a_pod(
    offloading: Offloading, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    monkeypatch.setattr("liqo.node.loop_pods.forge_status", lambda _home, remote, *_, **__: remote["status"])
    assert LIES[lie].believed(await lie_of_the_pod(offloading, **LIES[lie].status))


async def test_an_address_that_is_not_believed_is_told(offloading: Offloading) -> None:
    await lie_of_the_pod(offloading, **LIES["an address of a machine"].status)
    assert "AddressNotBelieved" in [reason for reason, _ in offloading.rome.events.told]


# Of pod networks.


async def lie_of_its_network(offloading: Offloading) -> bool:
    """Return whether home takes a pod to be anywhere in the world, after milan said that its pods are."""
    await lie_of_the_map(offloading, podCIDRs=["0.0.0.0/0", "10.201.0.0/16"])
    lie = address(CLAIMED)
    return bool(lie.believed(await lie_of_the_pod(offloading, **lie.status)))


async def test_milan_s_pods_are_not_everywhere(offloading: Offloading) -> None:
    assert not await lie_of_its_network(offloading)
    (message,) = [m for reason, m in offloading.rome.events.told if reason == "PodNetworkRefused"]
    assert "0.0.0.0/0, 10.201.0.0/16" in message


async def test_milan_s_pods_would_be_everywhere(
    offloading: Offloading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def believe(claims: Mapping[str, Claim], _ours: Sequence[str]) -> dict[str, list[str]]:
        return {cluster_id: list(claim.cidrs) for cluster_id, claim in claims.items()}

    monkeypatch.setattr("liqo.node.abroad.believe", believe)
    assert await lie_of_its_network(offloading)


# Of namespaces.


async def lie_of_its_namespace(offloading: Offloading) -> list[str]:
    """Have milan name another's namespace as the place of rome's; return where a new pod of rome's goes then."""
    await lie_of_the_map(offloading, namespaces=[{"name": SHOP, "remote": PARIS_S}])
    await offloading.bind(Key(SHOP, "new"))
    await offloading.world.run(FEW_SECONDS)
    return [p["metadata"]["namespace"] for p in offloading.abroad() if p["metadata"]["name"] == "new"]


async def test_no_pod_goes_into_another_s_namespace_because_milan_says_so(offloading: Offloading) -> None:
    assert await lie_of_its_namespace(offloading) == []
    home = offloading.at_home(Key(SHOP, "new"))
    assert home is not None
    assert home["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "PlaceRefused"


async def test_a_pod_would_go_into_another_s_namespace(
    offloading: Offloading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def believed_place(told: Mapped, _home_id: str) -> Place:
        return Place(remote=told.remote or "")

    monkeypatch.setattr("liqo.node.loop_map.believed_place", believed_place)
    assert await lie_of_its_namespace(offloading) == [PARIS_S]


# Of what it offers.


async def lie_of_its_offer(offloading: Offloading) -> list[str]:
    """Return what rome's node shows of an offer that cannot be."""
    api, key = offloading.rome.api, Key(NS, offloading.milan.id)
    await api.patch(ADVERTISEMENT, key, {"spec": OFFER})
    await offloading.world.run(FEW_SECONDS)
    (node,) = offloading.rome.virtual_nodes()
    assert node["status"]["allocatable"]["memory"] == "1Gi"  # it was looked at
    return believed_offer(node, CPU_MAX)


async def test_an_offer_that_cannot_be_is_cut_to_what_can(offloading: Offloading) -> None:
    assert await lie_of_its_offer(offloading) == []


@pytest.mark.parametrize(
    ("fence", "instead", "shown"),
    [
        (
            "liqo.node.loop.believed",
            lambda offered, _limit: dict(offered),
            {"kubernetes.io/gold", "gold", "cpu"},
        ),
        ("liqo.node.decide.believed_labels", dict, set(OFFER["labels"])),
    ],
)
async def test_an_offer_that_cannot_be_would_show(
    offloading: Offloading,
    monkeypatch: pytest.MonkeyPatch,
    fence: str,
    instead: Callable[..., Wire],
    shown: set[str],
) -> None:
    monkeypatch.setattr(fence, instead)
    assert set(await lie_of_its_offer(offloading)) == shown


# What is over.


async def test_a_pod_that_is_over_does_not_run_again_because_milan_says_so(offloading: Offloading) -> None:
    assert (await lie_of_the_pod(offloading, phase="Succeeded"))["phase"] == "Succeeded"
    (remote,) = offloading.abroad()
    running = {"status": {"phase": "Running"}}
    await offloading.milan.api.patch(POD, Key.of(remote), running, subresource="status")
    await offloading.world.run(FEW_SECONDS)
    home = offloading.at_home(WEB)
    assert home is not None
    assert home["status"]["phase"] == "Succeeded"
    assert all("deletionTimestamp" in pod["metadata"] for pod in offloading.abroad())
