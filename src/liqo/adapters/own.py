"""A connection to our own cluster, with credentials that this machine or pod was given."""

from liqo.adapters.kube import HttpCluster
from liqo.adapters.kubeconfig import Access
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Random


def open_cluster(access: Access, *, clock: Clock, random: Random, metrics: Metrics) -> HttpCluster:
    """Return the connection; close it when done."""
    return HttpCluster(
        access.server,
        ssl_context=access.ssl_context,
        token=access.token,
        refresh=access.refresh,
        server_hostname=access.server_hostname,
        clock=clock,
        random=random,
        metrics=metrics,
        role="home",
    )
