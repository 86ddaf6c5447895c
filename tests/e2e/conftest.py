"""What the tests on two real clusters with Liqo share."""

from e2e_peers import liqo_pair, peers
from e2e_stranger import stranger
from offloading import shop
from ordinary import ordinary

__all__ = ["liqo_pair", "ordinary", "peers", "shop", "stranger"]
