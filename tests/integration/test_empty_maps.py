"""Why no apply of ours says that a map is empty which may have held something: it is left out instead."""

from functools import partial

import pytest

from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Key, Wire
from liqo.api.rights import forge_object
from liqo.errors import Invalid
from liqo.runtime.ports import Cluster
from memory_cluster import MemoryCluster
from rights_lab import Bench

NAME = "hijklmnopqrstuvwxyz234567abcdefg"


@pytest.mark.lab
async def test_an_api_server_makes_null_of_a_map_that_an_apply_empties(bench: Bench) -> None:
    await empties(bench.admin)


async def test_so_does_the_one_in_memory() -> None:
    await empties(MemoryCluster())


async def empties(cluster: Cluster) -> None:
    """Give an offer labels and take them away again, in the way that is refused and in the one that is not."""
    foreign = forge_object(
        FOREIGN_CLUSTER, NAME, spec={"clusterID": NAME, "discoveryType": "IncomingPeering"}
    )
    await cluster.apply(FOREIGN_CLUSTER, foreign, manager="test")
    tell = partial(cluster.apply, FOREIGN_CLUSTER, manager="test", subresource="status")
    try:
        await tell(offered({"cpu": "1"}, {"zone": "a"}))
        with pytest.raises(Invalid, match="null"):
            await tell(offered({"cpu": "1"}, {}))
        await tell(offered({"cpu": "1"}))
        found = await cluster.get(FOREIGN_CLUSTER, Key("", NAME))
        assert found["status"]["incoming"] == {"offered": {"cpu": "1"}}
    finally:
        await cluster.delete(FOREIGN_CLUSTER, Key("", NAME))


def offered(resources: Wire, labels: Wire | None = None) -> Wire:
    incoming = {"offered": resources} | ({"offeredLabels": labels} if labels is not None else {})
    return {"metadata": {"name": NAME}, "status": {"incoming": incoming}}
