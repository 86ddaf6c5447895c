"""What the tests on two real clusters with Liqo share."""

from dns_servers import lab_bind
from e2e_legacy import legacy, legacy_pair
from e2e_peers import liqo_pair, peers
from e2e_proxied import behind
from e2e_stranger import stranger
from offloading import real_shop, shop
from ordinary import ordinary

__all__ = [
    "behind",
    "lab_bind",
    "legacy",
    "legacy_pair",
    "liqo_pair",
    "ordinary",
    "peers",
    "real_shop",
    "shop",
    "stranger",
]
