"""What the DNS finders of this process have seen, by finder and cluster.

A finder that has not answered since the start is not known here, so that what it wrote into an object in
an earlier life of the process stays until it has answered again.
"""

from collections.abc import Mapping

from liqo.discovery.sighting import Sighting


class Sightings:
    """A table of finders; each replaces its own row as a whole."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Sighting]] = {}

    def replace(self, finder: str, found: Mapping[str, Sighting]) -> set[str]:
        """Set all that a finder sees now; return the cluster ids of which that changed.

        The first time that is every id that it sees, and "" for those that it may have seen before.
        """
        old = self._rows.get(finder)
        self._rows[finder] = dict(found)
        if old is None:
            return {*found, ""}
        return {i for i in {*old, *found} if old.get(i) != found.get(i)}

    def forget(self, finder: str) -> set[str]:
        """Take a finder out of the table; return the cluster ids that it saw."""
        return set(self._rows.pop(finder, {}))

    def answered(self, finder: str) -> bool:
        """Return whether the finder has answered since the start."""
        return finder in self._rows

    def of(self, cluster_id: str) -> dict[str, Sighting]:
        """Return the sightings of one cluster, by finder."""
        return {finder: row[cluster_id] for finder, row in sorted(self._rows.items()) if cluster_id in row}
