"""Which offers are taken, as a table."""

from typing import Any

import pytest

from liqo.api.advertisement import Advertisement
from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster
from liqo.sharing.accept import judge

ID = "a" * 32
GOOD = {"cpu": "1", "memory": "1Gi", "pods": "10"}


def offer(
    resources: dict[str, str] | None = None, status: dict[str, Any] | None = None, **spec: Any
) -> Advertisement:
    return Advertisement.parse(
        {
            "metadata": {"name": ID},
            "spec": {
                "protocol": 1,
                "clusterID": ID,
                "clusterName": "milan",
                "phase": "Offered",
                "answers": "j1",
                "kubeConfig": "sealed",
                "resources": GOOD if resources is None else resources,
                **spec,
            },
            "status": status or {},
        }
    )


FOREIGN = ForeignCluster.parse(
    {
        "metadata": {"name": "milan"},
        "spec": {"clusterID": ID, "join": True},
        "status": {"outgoing": {"phase": "Requested", "jti": "j1"}},
    }
)
UNJOINED = ForeignCluster.parse(
    {**FOREIGN.wire(), "spec": {"clusterID": ID}, "status": {"outgoing": {"jti": "j1"}}}
)


def config(**ingoing: Any) -> ClusterConfigSpec:
    return ClusterConfigSpec.parse({"advertisementConfig": {"ingoing": ingoing}})


CASES: dict[
    str, tuple[Advertisement, ForeignCluster | None, ClusterConfigSpec, int, tuple[bool | None, str] | None]
] = {
    "an offer that was asked for": (offer(), FOREIGN, config(), 0, (True, "OfferAccepted")),
    "nobody knows that cluster": (offer(), None, config(), 0, None),
    "nobody joined it": (offer(), UNJOINED, config(), 0, None),
    "it answers another request": (offer(answers="j0"), FOREIGN, config(), 0, None),
    "as many offers as we take": (offer(), FOREIGN, config(), 5, (False, "TooManyOffers")),
    "one that stands is not taken back by a limit, nor for being small": (
        offer({"pods": "0"}, status={"phase": "Accepted", "answers": "j1"}),
        FOREIGN,
        config(),
        9,
        (True, "OfferAccepted"),
    ),
    "no memory in it": (offer({"cpu": "1", "pods": "1"}), FOREIGN, config(), 0, (False, "NothingOffered")),
    "zero pods in it": (offer({**GOOD, "pods": "0"}), FOREIGN, config(), 0, (False, "NothingOffered")),
    "a person decides": (offer(), FOREIGN, config(acceptPolicy="Manual"), 0, (None, "WaitingForPerson")),
}


@pytest.mark.parametrize("sentence", CASES)
def test_what_we_say_to_an_offer(sentence: str) -> None:
    adv, known, settings, others, expected = CASES[sentence]
    verdict = judge(adv, known, settings, others=others)
    assert (None if verdict is None else (verdict.accepted, str(verdict.reason))) == expected
