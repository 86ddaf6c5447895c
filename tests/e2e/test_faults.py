"""Peerings between real clusters whose API servers, network or owners fail at the worst moment."""

import shutil
from collections.abc import Iterator
from functools import partial

import pytest

from e2e_peers import Peers
from liqo.app.demo import MANIFEST, NAME, fill
from liqo.app.lab import up_with_liqo
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = pytest.mark.lab

SIDES = ("rome", "milan")
ENDED_SECONDS = 150.0  # until a refusal is believed: said twice, ten seconds apart, and lasting a minute
DEAD_SECONDS = 30.0  # the promise for an unjoin from a dead cluster


def join(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))


def test_a_partition_while_joining(peers: Peers) -> None:
    peers.configure("milan", "peeringConfig", requestPolicy="Manual")
    try:
        peers.apply_seed("rome", "milan")
        peers.until(lambda: peers.condition("rome", "Accepted") == ("Unknown", "Pending"))
        peers.lab.partition(*SIDES)
        peers.configure("milan", "peeringConfig", allowedClusters=[peers.id_of("rome")])
        peers.until(lambda: waits(peers))
        assert not peers.virtual_nodes("rome")
        peers.lab.heal(*SIDES)
        peers.until(lambda: peers.is_ready("rome"), ENDED_SECONDS)
    finally:
        peers.lab.heal(*SIDES)
        peers.configure("milan", "peeringConfig", requestPolicy=None, allowedClusters=None)


def waits(peers: Peers) -> bool:
    """Return whether milan says that it cannot call rome back."""
    (request,) = peers.items("milan", "fr", "-n", "liqo")
    return bool(request["status"]["reason"] == "CallBackFailed")


@pytest.mark.seconds(300)
def test_a_partition_while_unjoining(peers: Peers) -> None:
    join(peers)
    peers.lab.partition(*SIDES)
    try:
        peers.set_join("rome", join=False)
        peers.until(lambda: peers.condition("rome", "Requested") == ("False", "Ending"))
        peers.until(lambda: not peers.virtual_nodes("rome"))
        assert not peers.is_clean("milan")
    finally:
        peers.lab.heal(*SIDES)
    for side in SIDES:  # where this took so long that rome gave up, milan finds out by itself
        peers.until(partial(peers.is_clean, side), ENDED_SECONDS)


@pytest.mark.long
def test_a_partition_that_outlasts_an_unjoin(peers: Peers) -> None:
    join(peers)
    peers.lab.partition(*SIDES)
    try:
        peers.lab.kubectl("rome", "delete", "fc", NAME, "--wait=false")
        peers.until(partial(peers.is_apart, "rome"), DEAD_SECONDS)  # it waits for nobody any more
        assert not peers.is_clean("milan")
    finally:
        peers.lab.heal(*SIDES)
    peers.until(partial(peers.is_clean, "milan"), ENDED_SECONDS)  # milan finds out by itself
    join(peers)


@pytest.mark.long
@pytest.mark.parametrize(("leaves", "dead"), [("rome", "milan"), ("milan", "rome")])
def test_the_other_side_dead_for_ever(peers: Peers, leaves: str, dead: str) -> None:
    join(peers)
    peers.lab.stop(dead)
    if leaves == "rome":
        peers.lab.kubectl("rome", "delete", "fc", NAME, "--wait=false")
        peers.until(partial(peers.is_apart, "rome"), DEAD_SECONDS)
    else:
        deny(peers)
        peers.until(partial(peers.is_clean, "milan"), DEAD_SECONDS)
    peers.lab.start(dead)  # and comes back after all
    peers.until(partial(peers.is_clean, dead), ENDED_SECONDS)


def deny(peers: Peers) -> None:
    """Have milan's owner end what rome has there."""
    (made,) = peers.items("milan", "fc")
    patch = '{"spec": {"incoming": "Deny"}}'
    peers.lab.kubectl("milan", "patch", "fc", made["metadata"]["name"], "--type", "merge", "-p", patch)


@pytest.fixture
def mortal(lab: LabFactory, eventually: Eventually) -> Iterator[Peers]:
    """Two clusters of this test alone, joined."""
    made = lab()
    up_with_liqo(made, SIDES, lan=False)
    peers = Peers(made, eventually)
    join(peers)
    yield peers
    made.down()


def install_again(peers: Peers, side: str, *, same_ca: bool) -> None:
    """Empty a cluster and install Liqo there again, at the same address, as another cluster."""
    spec = peers.lab.cluster(side)
    peers.lab.stop(side)
    shutil.rmtree(spec.folder / "etcd")
    spec.controller_kubeconfig.unlink()
    if not same_ca:
        shutil.rmtree(spec.pki)
    up_with_liqo(peers.lab, (side,), lan=False)


def join_the_new_one(peers: Peers, name: str) -> None:
    """Join milan, as it is now, under another name."""
    text = fill(MANIFEST, peers.id_of("milan"), peers.lab.cluster("milan")).replace(NAME, name)
    peers.lab.kubectl("rome", "apply", "-f", "-", text=text)

    def is_there() -> bool:
        found = peers.get("rome", "fc", name)["status"]["conditions"]
        return any(c["type"] == "NodeReady" and c["status"] == "True" for c in found)

    peers.until(is_there)


REPLACED = ("False", "IdentityReplaced")


@pytest.mark.long
@pytest.mark.parametrize("same_ca", [True, False], ids=["same CA", "another CA"])
def test_foreign_installed_again_at_the_same_address(mortal: Peers, *, same_ca: bool) -> None:
    old = mortal.id_of("milan")
    install_again(mortal, "milan", same_ca=same_ca)
    mortal.until(lambda: mortal.condition("rome", "IdentityVerified") == REPLACED, ENDED_SECONDS)
    if same_ca:
        mortal.until(partial(mortal.is_clean, "rome"))
    else:
        mortal.until(
            lambda: not mortal.is_ready("rome")
        )  # who cannot show the old certificate takes nothing down
    join_the_new_one(mortal, "the-new-one")
    assert mortal.items("milan", "fr", "-n", "liqo")
    mortal.lab.kubectl("rome", "delete", "fc", NAME, f"--timeout={DEAD_SECONDS}s")
    assert old not in rights(mortal, "rome")


@pytest.mark.long
@pytest.mark.parametrize("same_ca", [True, False], ids=["same CA", "another CA"])
def test_home_installed_again_at_the_same_address(mortal: Peers, *, same_ca: bool) -> None:
    old = mortal.id_of("rome")
    install_again(mortal, "rome", same_ca=same_ca)
    join(mortal)
    assert mortal.id_of("rome") != old
    if not same_ca:
        assert old in rights(mortal, "milan")  # who cannot show the old certificate takes nothing down
        mortal.lab.kubectl("milan", "delete", "fc", old, f"--timeout={DEAD_SECONDS}s")
    mortal.until(lambda: old not in rights(mortal, "milan"), ENDED_SECONDS)
    mortal.until(lambda: mortal.is_ready("rome"))


def rights(peers: Peers, side: str) -> str:
    """Return all that names somebody who may do something."""
    return peers.lab.kubectl(side, "get", "sa,roles,rolebindings,namespaces", "-A", "-o", "json")
