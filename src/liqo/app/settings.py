"""Reads and writes single settings of the ClusterConfig."""

from liqo.api.cluster_config import effective
from liqo.api.kinds import CLUSTER_CONFIG
from liqo.api.meta import Key, Wire
from liqo.api.names import CONFIG_NAME
from liqo.errors import Absent
from liqo.runtime.ports import Cluster

MANAGER = "liqo-cli"


async def read_sharing(cluster: Cluster) -> tuple[bool, int]:
    """Return whether this cluster shares, and how much of what is free, in percent."""
    try:
        stored: Wire | None = await cluster.get(CLUSTER_CONFIG, Key("", CONFIG_NAME))
    except Absent:
        stored = None
    outgoing = effective(stored).advertisement_config.outgoing
    return outgoing.enable, outgoing.resource_sharing_percentage


async def write_sharing(cluster: Cluster, percentage: int | None) -> None:
    """Set how much is shared; None is nothing, and ends incoming peerings."""
    outgoing: Wire = {"enable": percentage is not None}
    if percentage is not None:
        outgoing["resourceSharingPercentage"] = percentage
    spec = {"advertisementConfig": {"outgoing": outgoing}}
    key = Key("", CONFIG_NAME)
    try:
        await cluster.patch(CLUSTER_CONFIG, key, {"spec": spec}, manager=MANAGER)
    except Absent:
        body = {
            "apiVersion": CLUSTER_CONFIG.api_version,
            "kind": CLUSTER_CONFIG.kind,
            "metadata": {"name": CONFIG_NAME},
            "spec": spec,
        }
        await cluster.create(CLUSTER_CONFIG, body)
