"""Which certificates and addresses of other clusters are taken, as this cluster's owner has it."""

import ssl
from urllib.parse import urlsplit

from liqo.adapters.tls import system_context
from liqo.api.meta import Key
from liqo.api.names import TRUSTED_CA_CONFIG_MAP
from liqo.app.home import Home
from liqo.identity.trust import Verdict, check_address, parse_trusted
from liqo.runtime.store import Store


class Trust:
    """Answers from what the stores hold now; the TLS context is built again only when its certificates change."""

    def __init__(self, config_maps: Store, home: Home, *, allow_loopback: bool) -> None:
        self._config_maps = config_maps
        self._home = home
        self._allow_loopback = allow_loopback
        self._pem: str | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Return a context of the system's roots and the ConfigMap trusted-ca-certificates."""
        found = self._config_maps.get(Key(self._home.namespace, TRUSTED_CA_CONFIG_MAP))
        pem, _problems = parse_trusted((found or {}).get("data") or {})
        if self._context is None or pem != self._pem:
            self._pem, self._context = pem, system_context(pem)
        return self._context

    def check(self, address: str) -> Verdict:
        """Return whether we connect to an address."""
        own = urlsplit(self._home.access.server).hostname or ""
        return check_address(address, own=[own], allow_loopback=self._allow_loopback)
