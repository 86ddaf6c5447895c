"""Every wrong request of docs/reference/bad-input.md, sent by a stranger to a real API server."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from e2e_peers import Peers, bad_input_rows
from e2e_stranger import Stranger
from liqo.api.meta import Wire
from liqo.api.names import request_name
from liqo.app.identity import ensure_identity
from liqo.app.setup import connected
from liqo.errors import Conflict, Fault
from liqo.identity.cluster_id import Identity, new_identity
from liqo.identity.request import new_jti

pytestmark = pytest.mark.lab

ASKED = bad_input_rows("When another cluster asks wrongly")
APART = ("our own identity", "an older one than the last")  # each in a test of its own


def changed(request: Wire, **spec: Any) -> Wire:
    return {**request, "spec": {**request["spec"], **spec}}


def without_proof(s: Stranger) -> Wire:
    request = s.request()
    del request["spec"]["proof"]
    return request


def by_another_key(s: Stranger) -> Wire:
    request = s.request()
    jti = request["metadata"]["name"].rsplit("-", 1)[1]
    return changed(request, proof=s.prove(request["spec"], jti, identity=new_identity()))


def in_another_s_name(s: Stranger) -> Wire:
    request = s.request()
    jti, other = request["metadata"]["name"].rsplit("-", 1)[1], str(new_identity().cluster_id)
    spec = {**request["spec"], "clusterID": other}
    spec["proof"] = s.prove(spec, jti)
    return {**request, "metadata": {"name": request_name(other, jti)}, "spec": spec}


def for_another(s: Stranger) -> Wire:
    request = s.request()
    jti = request["metadata"]["name"].rsplit("-", 1)[1]
    return changed(request, proof=s.prove(request["spec"], jti, audience=new_identity().keys.thumbprint))


def renamed(s: Stranger, name: str) -> Wire:
    return {**s.request(), "metadata": {"name": name}}


MISTAKES: dict[str, Callable[[Stranger], Wire]] = {
    "no proof": without_proof,
    "signed with another key": by_another_key,
    "an id that is another cluster's": in_another_s_name,
    "made for another cluster": for_another,
    "signed an hour ago": lambda s: s.request(at=timedelta(hours=-1)),
    "signed in an hour": lambda s: s.request(at=timedelta(hours=1)),
    "changed after it was signed": lambda s: changed(s.request(), clusterName="other"),
    "a name that was not signed": lambda s: renamed(s, request_name(s.identity.cluster_id, new_jti())),
    "a name of another cluster": lambda s: renamed(s, request_name("b" * 32, new_jti())),
    "a label on it": lambda s: {
        **(request := s.request()),
        "metadata": {**request["metadata"], "labels": {"a": "b"}},
    },
    "too large": lambda s: changed(s.request(), kubeConfig="x" * 20_000),
}


@pytest.mark.parametrize("mistake", [m for m in ASKED if m not in APART])
async def test_a_wrong_request_is_refused_before_anything_is_stored(
    peers: Peers, stranger: Stranger, mistake: str
) -> None:
    (sentence,) = ASKED[mistake]
    with pytest.raises(Fault) as refused:
        await stranger.post(MISTAKES[mistake](stranger))
    assert sentence in peers.plain(refused.value.message)
    assert peers.items("milan", "federationrequests", "-n", "liqo") == []


async def identity_of(peers: Peers, side: str) -> Identity:
    async with connected(peers.lab.cluster(side).kubeconfig, None) as (admin, _):
        return (await ensure_identity(admin, "liqo"))[1]


async def test_milan_s_own_identity_is_refused(peers: Peers, stranger: Stranger) -> None:
    own = await identity_of(peers, "milan")
    with pytest.raises(Fault, match=re.escape(ASKED["our own identity"][0])):
        await stranger.post(stranger.request(identity=own))


async def test_a_request_that_was_held_back_is_refused_once_a_newer_one_was_accepted(
    peers: Peers, stranger: Stranger
) -> None:
    rome = await identity_of(peers, "rome")
    held_back = stranger.request(identity=rome, at=timedelta(minutes=-1))
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    with pytest.raises(Fault, match=re.escape(ASKED["an older one than the last"][0])):
        await stranger.post(held_back)
    assert len(peers.items("milan", "federationrequests", "-n", "liqo")) == 1
    await stranger.post(stranger.request(identity=rome))  # a newer one is let in


async def test_a_request_that_is_sent_again_is_there_already(stranger: Stranger) -> None:
    request = stranger.request()
    await stranger.post(request)
    with pytest.raises(Conflict):
        await stranger.post(request)
