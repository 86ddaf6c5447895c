"""Which certificates and addresses of other clusters are taken, as this cluster's owner has it."""

import ssl
from functools import lru_cache
from urllib.parse import urlsplit

from liqo.adapters.tls import PINNED_NAME, PeerTrust, pinned_context, system_context
from liqo.api.meta import Key
from liqo.api.names import TRUSTED_CA_CONFIG_MAP, short_hash
from liqo.app.home import Home
from liqo.app.stores import Stores
from liqo.identity.cluster_id import is_legacy_id
from liqo.identity.trust import Verdict, check_address, parse_trusted
from liqo.peering.pins import check, check_stopped, forge_pin, takes_own_ca


@lru_cache(maxsize=256)
def _pinned(ca_pem: str) -> PeerTrust:
    return PeerTrust(f"own {short_hash(ca_pem)}", pinned_context(ca_pem), PINNED_NAME)


class Trust:
    """Answers from what the stores hold now; the TLS context is built again only when its certificates change."""

    def __init__(self, stores: Stores, home: Home, *, allow_loopback: bool) -> None:
        self._stores = stores
        self._home = home
        self._allow_loopback = allow_loopback
        self._pem: str | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Return a context of the system's roots and the ConfigMap trusted-ca-certificates."""
        found = self._stores.config_maps.get(Key(self._home.namespace, TRUSTED_CA_CONFIG_MAP))
        pem, _problems = parse_trusted((found or {}).get("data") or {})
        if self._context is None or pem != self._pem:
            self._pem, self._context = pem, system_context(pem)
        return self._context

    def of_peer(self, cluster_id: str, ca_pem: str) -> PeerTrust:
        """Return how a cluster's certificate is verified.

        Args:
            cluster_id: of the cluster; its ForeignCluster that counts says whether its own CA is accepted.
            ca_pem: that CA, as it stands in the credentials that the cluster sealed to us; "" if it did not say.

        Raises:
            PinChanged: its id proves nothing, and it shows something else than what it is known by.
        """
        siblings = self._stores.siblings(cluster_id)
        if is_legacy_id(cluster_id):
            check_stopped(siblings)
        otherwise = self._home.config().discovery_config.accept_untrusted_ca
        if ca_pem and takes_own_ca(cluster_id, siblings, otherwise=otherwise):
            if is_legacy_id(cluster_id):
                check(siblings, forge_pin("", ca_pem))
            return _pinned(ca_pem)
        context = self.context()
        return PeerTrust(f"known {short_hash(self._pem or '')}", context, None)

    def check(self, address: str) -> Verdict:
        """Return whether we connect to an address."""
        own = urlsplit(self._home.access.server).hostname or ""
        return check_address(address, own=[own], allow_loopback=self._allow_loopback)
