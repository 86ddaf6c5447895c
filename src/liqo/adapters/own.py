"""A connection to our own cluster, with credentials that this machine or pod was given."""

import asyncio
import ssl
from datetime import timedelta
from urllib.parse import urlsplit

from liqo.adapters.kube import HttpCluster
from liqo.adapters.kubeconfig import Access, make_context
from liqo.adapters.tls import unverified_context
from liqo.errors import Malformed
from liqo.identity.trust import HTTPS_PORT, names_in
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Random
from liqo.runtime.secret import Secret

SHOWN_WITHIN = timedelta(seconds=5)  # our own API server is near, and answered just before


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


def open_account(
    access: Access, token: Secret, *, clock: Clock, random: Random, metrics: Metrics
) -> HttpCluster:
    """Return a connection to the same API server with another token and nothing of our own; close it when done."""
    context = None
    if access.ssl_context is not None:
        insecure = access.ssl_context.verify_mode is ssl.CERT_NONE  # the kubeconfig says so
        context = unverified_context() if insecure else make_context(access.ca_pem)
    return HttpCluster(
        access.server,
        ssl_context=context,
        token=token.reveal,
        server_hostname=access.server_hostname,
        clock=clock,
        random=random,
        metrics=metrics,
        role="home",
    )


async def certificate_names(access: Access) -> tuple[str, ...] | None:
    """Return the names and addresses that our API server's certificate is for; None if it shows none."""
    url = urlsplit(access.server)
    if url.scheme != "https":
        return None
    try:
        async with asyncio.timeout(SHOWN_WITHIN.total_seconds()):
            _, writer = await asyncio.open_connection(
                url.hostname,
                url.port or HTTPS_PORT,
                ssl=unverified_context(),
                server_hostname=access.server_hostname or url.hostname,
            )
    except (OSError, TimeoutError):
        return None
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    try:
        return names_in(shown)
    except Malformed:
        return None
