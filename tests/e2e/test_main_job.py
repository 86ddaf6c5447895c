"""The main job on two real clusters: from the seed's YAML to a Ready node, and back."""

import json
from collections import Counter
from functools import partial

import pytest

from e2e_peers import Peers, liqo, names, uninstall
from liqo.app.demo import NAME
from liqo.app.lab import up_with_liqo
from liqo.lab.lab import LIQO
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = pytest.mark.lab


def test_the_seed_s_commands(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    (node,) = peers.virtual_nodes("rome")
    assert node["metadata"]["name"].startswith("liqo-milan-")
    assert node["spec"]["taints"][0]["key"] == "virtual-node.liqo.io/not-allowed"
    shared = {name: node["status"]["allocatable"][name] for name in ("cpu", "memory", "pods")}
    assert shared == {"cpu": "3600m", "memory": "7372Mi", "pods": "99"}  # 30 % of three nodes of 4, 8Gi, 110
    shown = peers.lab.kubectl("rome", "get", "foreignclusters,advertisements,nodes", "-n", "liqo")
    assert "Established" in shown
    assert "OfferAccepted" in shown
    lease = peers.until(lambda: peers.get("rome", "lease", node["metadata"]["name"], "-n", "kube-node-lease"))
    assert lease["spec"]["holderIdentity"] == node["metadata"]["name"]


def test_unjoin_leaves_nothing_on_either_side(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    peers.set_join("rome", join=False)
    for side in ("rome", "milan"):
        peers.until(partial(peers.is_clean, side))
    assert peers.items("milan", "fc") == []


def test_both_join_at_once_and_unjoining_one_way_leaves_the_other(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    peers.apply_seed("milan", "rome")
    for side in ("rome", "milan"):
        peers.until(partial(peers.is_ready, side))
    peers.set_join("milan", join=False)
    peers.until(lambda: not peers.virtual_nodes("milan"))
    assert peers.is_ready("rome")
    assert peers.condition("rome", "NodeReady") == ("True", "Ready")


def test_a_foreign_api_server_that_is_away_makes_the_node_not_ready_and_back(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    peers.lab.stop("milan", "kube-apiserver")
    peers.until(lambda: peers.condition("rome", "NodeReady") == ("False", "ForeignAway"))
    assert not peers.is_ready("rome")
    peers.lab.start("milan")
    peers.until(lambda: peers.is_ready("rome"))


def test_a_partition_deletes_nothing_and_heals(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    before = peers.items("milan", "federationrequests", "-n", "liqo")
    peers.lab.partition("rome", "milan")
    try:
        peers.until(lambda: peers.condition("rome", "NodeReady") == ("False", "ForeignAway"))
    finally:
        peers.lab.heal("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    after = peers.items("milan", "federationrequests", "-n", "liqo")
    assert [r["metadata"]["uid"] for r in after] == [r["metadata"]["uid"] for r in before]


def test_capacity_follows_the_offer(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    assert liqo(peers, "milan", "share", "50").stdout == "sharing 50 % of what is free\n"
    try:
        peers.until(lambda: peers.virtual_nodes("rome")[0]["status"]["allocatable"]["cpu"] == "6")
    finally:
        liqo(peers, "milan", "share", "30")


@pytest.mark.parametrize("side", ["rome", "milan"])
def test_a_controller_killed_while_joining_goes_on_where_it_was(peers: Peers, side: str) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.get("rome", "fc", NAME).get("status", {}).get("outgoing"))
    peers.lab.kill(side, LIQO)
    peers.lab.start(side, LIQO)
    peers.until(lambda: peers.is_ready("rome"))
    assert len(peers.items("milan", "federationrequests", "-n", "liqo")) == 1


def test_a_person_accepts_who_waits_and_denies_him_later(peers: Peers) -> None:
    peers.configure("milan", "peeringConfig", requestPolicy="Manual")
    try:
        peers.apply_seed("rome", "milan")
        peers.until(lambda: peers.condition("rome", "Accepted") == ("Unknown", "Pending"))
        waiting = json.loads(liqo(peers, "milan", "requests", "-o", "json").stdout)["requests"]
        assert [(r["clusterName"], r["clusterID"]) for r in waiting] == [("rome", peers.id_of("rome"))]
        peers.until(lambda: "WaitingForPerson" in liqo(peers, "milan", "requests").stdout)
        assert f"liqo accept {peers.id_of('rome')}" in liqo(peers, "milan", "status").stdout
        assert liqo(peers, "milan", "accept", "nobody").returncode == 2
        accepted = liqo(peers, "milan", "accept", "rome")
        assert peers.id_of("rome") in accepted.stdout, accepted.stderr
        peers.until(lambda: peers.is_ready("rome"))
        assert liqo(peers, "milan", "deny", "rome").returncode == 0
        peers.until(lambda: peers.condition("rome", "Accepted") == ("False", "Denied"))
        peers.until(lambda: peers.is_clean("rome") and peers.is_clean("milan"))
    finally:
        peers.configure("milan", "peeringConfig", requestPolicy=None)


def test_deny_ends_a_peering_and_home_sees_why(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    (incoming,) = peers.items("milan", "fc")
    deny = json.dumps({"spec": {"incoming": "Deny"}})
    peers.lab.kubectl("milan", "patch", "fc", incoming["metadata"]["name"], "--type", "merge", "-p", deny)
    peers.until(lambda: peers.condition("rome", "Accepted") == ("False", "Denied"))
    for side in ("rome", "milan"):
        peers.until(partial(peers.is_clean, side))


def test_the_command_line_joins_lists_tells_and_unjoins(peers: Peers) -> None:
    url = peers.lab.cluster("milan").api_url
    joined = liqo(peers, "rome", "join", url, "--name", NAME)
    assert joined.returncode == 0, joined.stderr
    assert joined.stdout.startswith("node liqo-milan-")
    assert "NodeReady: yes" in joined.stderr
    listed = json.loads(liqo(peers, "rome", "clusters", "-o", "json").stdout)
    assert [(c["name"], c["outgoing"], c["ready"]) for c in listed["clusters"]] == [
        (NAME, "Established", True)
    ]
    told = liqo(peers, "milan", "status").stdout
    assert "Uses us:" in told
    assert "rome (" in told
    unjoined = liqo(peers, "rome", "unjoin", NAME)
    assert (unjoined.returncode, unjoined.stdout) == (0, f"{NAME} is no longer joined\n")


def test_wrong_input_is_answered_with_what_to_do(peers: Peers) -> None:
    unknown = liqo(peers, "rome", "unjoin", "paris")
    assert unknown.returncode == 2
    assert "hint: the known ones: none" in unknown.stderr
    plain = liqo(peers, "rome", "join", "http://192.0.2.1:6443")
    assert plain.returncode == 2
    assert (
        plain.stderr == "error: the URL is not https://host:port\nhint: such as https://192.168.1.20:6443\n"
    )
    own = peers.id_of("rome")
    peers.apply_seed("rome", "milan")
    refused = peers.lab.exec(
        "rome", ["kubectl", "patch", "fc", NAME, "--type", "merge", "-p", _cluster_id(own)]
    )
    assert "clusterID does not change" in refused.stderr


def _cluster_id(value: str) -> str:
    return json.dumps({"spec": {"clusterID": value}})


@pytest.mark.long
def test_twenty_times_join_and_unjoin_grows_nothing(peers: Peers) -> None:
    kinds = peers.lab.kubectl("rome", "api-resources", "--verbs", "list", "-o", "name").split()
    counted = ",".join(
        k for k in kinds if not k.startswith(("events", "leases", "componentstatuses", "pods.metrics"))
    )

    def count() -> dict[str, Counter[str]]:
        return {
            side: Counter(o["kind"] for o in peers.items(side, counted, "-A")) for side in ("rome", "milan")
        }

    def cycle() -> None:
        peers.set_join("rome", join=True)
        peers.until(lambda: peers.is_ready("rome"))
        peers.set_join("rome", join=False)
        for side in ("rome", "milan"):
            peers.until(partial(peers.is_clean, side))

    peers.apply_seed("rome", "milan")
    cycle()
    before = count()
    for _ in range(20):
        cycle()
    assert count() == before


@pytest.mark.seconds(240)  # two planes start, and each side may take a minute to part
def test_uninstall_leaves_both_clusters_as_they_were(lab: LabFactory, eventually: Eventually) -> None:
    made = lab("rome", "milan")
    peers = Peers(made, eventually)
    before = {side: names(peers, side) for side in ("rome", "milan")}
    up_with_liqo(made, ("rome", "milan"), liqo=True, lan=True)  # whose agents find what was just deleted
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    assert all(names(peers, side) > old for side, old in before.items())
    uninstall(peers, before)  # the first of them still joined
