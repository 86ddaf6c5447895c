"""Invites between real clusters: they pass a full queue and a Manual policy, open once, and nobody else uses them."""

import json
from datetime import timedelta
from functools import partial

import pytest

from e2e_peers import Peers
from liqo.adapters.clock import SystemClock
from liqo.app.demo import NAME
from liqo.app.invites import make_invite
from liqo.app.setup import connected
from liqo.identity.invite import parse_invite

pytestmark = pytest.mark.lab

ACCOUNTS = ("serviceaccounts,rolebindings", "-n", "liqo", "-l", "liqo.io/invite=true")


@pytest.fixture
def closed(peers: Peers) -> Peers:
    """Milan waits for a person, and has no place left for strangers."""
    peers.configure("milan", "peeringConfig", requestPolicy="Manual", maxPending=0)
    return peers


@pytest.fixture(autouse=True)
def as_before(peers: Peers) -> object:
    yield
    peers.configure("milan", "peeringConfig", requestPolicy="Accept", maxPending=None)
    for name in names(peers):
        peers.lab.kubectl("milan", "delete", "serviceaccount", name, "-n", "liqo")


def names(peers: Peers) -> list[str]:
    found = json.loads(peers.lab.exec("milan", ["liqo", "invites", "-o", "json"]).stdout)
    return [i["name"] for i in found["invites"]]


def test_an_invite_passes_a_full_queue_and_opens_once(closed: Peers) -> None:
    lab = closed.lab
    closed.apply_seed("rome", "milan")
    closed.until(lambda: "TooManyPending" in lab.kubectl("rome", "get", "fc", "-o", "yaml"))
    invite = lab.exec("milan", ["liqo", "invite"]).stdout.strip()
    (name,) = names(closed)
    said = lab.exec("rome", ["liqo", "join", invite]).stdout
    assert said.startswith("node liqo-milan-")
    (request,) = closed.items("milan", "fr", "-n", "liqo")
    assert (request["status"]["phase"], request["status"]["reason"]) == ("Accepted", "Invited")
    assert request["spec"]["invite"] == name
    closed.until(lambda: closed.items("milan", *ACCOUNTS) == [])
    token = parse_invite(invite).token.reveal()
    assert token not in lab.kubectl("rome", "get", "fc,events", "-A", "-o", "yaml")
    # The API server remembers for ten seconds whom a token was of.
    closed.until(lambda: "Unauthorized" in refused(closed, "milan", "--token", token))


def refused(peers: Peers, side: str, *options: str) -> str:
    """Return what an API server says to whoever lists requests with these options and no certificate."""
    url = peers.lab.cluster(side).api_url
    command = ["kubectl", "--kubeconfig", "/dev/null", "--server", url, "--insecure-skip-tls-verify"]
    done = peers.lab.exec(side, [*command, *options, "get", "fr", "-n", "liqo"])
    assert done.returncode != 0
    return done.stderr


async def test_an_invite_for_one_cluster_is_of_no_use_to_another(closed: Peers) -> None:
    lab = closed.lab
    someone = "b" * 32
    invite = lab.exec("milan", ["liqo", "invite", "--for", someone]).stdout.strip()
    lab.exec("rome", ["liqo", "join", "--no-wait", invite])
    closed.until(lambda: "InviteOver" in lab.kubectl("rome", "get", "fc", "-o", "yaml"))
    assert closed.items("milan", "fr", "-n", "liqo") == []
    assert len(names(closed)) == 1


async def test_an_invite_that_is_over_is_taken_back_by_itself(closed: Peers) -> None:
    kubeconfig = closed.lab.cluster("milan").kubeconfig
    async with connected(kubeconfig, None) as (cluster, access):
        await make_invite(
            cluster,
            access,
            "liqo",
            only="",
            ttl=timedelta(minutes=1),
            clock=SystemClock(timedelta(seconds=-58)),
        )
    closed.until(lambda: closed.items("milan", *ACCOUNTS) == [])


def test_an_invite_that_was_taken_back_is_refused(closed: Peers) -> None:
    lab = closed.lab
    invite = lab.exec("milan", ["liqo", "invite"]).stdout.strip()
    (name,) = names(closed)
    lab.exec("milan", ["liqo", "uninvite", name])
    closed.until(lambda: closed.items("milan", *ACCOUNTS) == [])
    lab.exec("rome", ["liqo", "join", "--no-wait", invite])
    # Its token is worth nothing any more, so rome asks as a stranger does.
    closed.until(lambda: "TooManyPending" in lab.kubectl("rome", "get", "fc", "-o", "yaml"))


def test_what_is_no_invite_is_told_so(closed: Peers) -> None:
    lab = closed.lab
    for text, word in (("liqo-invite-abc", "whole"), (own(closed), "this very cluster")):
        done = lab.exec("milan", ["liqo", "join", text])
        assert done.returncode != 0
        assert word in done.stderr
    assert closed.items("milan", "fc") == []


def own(peers: Peers) -> str:
    return peers.lab.exec("milan", ["liqo", "invite"]).stdout.strip()


def test_an_offer_waits_for_a_person_where_the_policy_says_so(peers: Peers) -> None:
    peers.configure("rome", "advertisementConfig", ingoing={"acceptPolicy": "Manual"})
    try:
        peers.apply_seed("rome", "milan")
        peers.until(lambda: peers.condition("rome", "Advertised") == ("Unknown", "WaitingForPerson"))
        assert peers.virtual_nodes("rome") == []
        peers.lab.exec("rome", ["liqo", "accept", "--offer", NAME])
        peers.until(partial(peers.is_ready, "rome"))
    finally:
        peers.configure("rome", "advertisementConfig", ingoing=None)
