"""What the tests on two real clusters with Liqo share."""

from e2e_legacy import legacy, legacy_pair
from e2e_peers import liqo_pair, peers
from offloading import shop
from ordinary import ordinary

__all__ = ["legacy", "legacy_pair", "liqo_pair", "ordinary", "peers", "shop"]
