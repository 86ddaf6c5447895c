"""What the tests on two real clusters with Liqo share."""

from e2e_peers import liqo_pair, peers
from offloading import shop

__all__ = ["liqo_pair", "peers", "shop"]
