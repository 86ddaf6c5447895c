"""What the DNS finders of this process have seen, by finder and cluster.

A finder that has not answered in full since the start is told apart from one that sees nothing, so that what
it wrote into an object in an earlier life of the process stays until it has answered again.
"""

from collections.abc import Mapping

from liqo.discovery.sighting import Sighting


class Sightings:
    """A table with a row a finder."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Sighting]] = {}
        self._answered: set[str] = set()

    def add(self, finder: str, sighting: Sighting) -> bool:
        """Note one cluster while the finder is still at work; return whether that is news."""
        row = self._rows.setdefault(finder, {})
        news = row.get(sighting.cluster_id) != sighting
        row[sighting.cluster_id] = sighting
        return news

    def replace(self, finder: str, found: Mapping[str, Sighting], *, whole: bool = True) -> set[str]:
        """Set all that a finder sees now that it has answered; return the cluster ids of which that changed.

        The first time that the answer is `whole`, "" is among them: look also at those that it may have seen in an
        earlier life.
        """
        old, self._rows[finder] = self._rows.get(finder, {}), dict(found)
        changed = {i for i in {*old, *found} if old.get(i) != found.get(i)}
        if whole and finder not in self._answered:
            self._answered.add(finder)
            changed.add("")
        return changed

    def forget(self, finder: str) -> set[str]:
        """Take a finder out of the table; return the cluster ids that it saw, and "" for older ones."""
        self._answered.discard(finder)
        return {*self._rows.pop(finder, {}), ""}

    def has_answered(self, finder: str) -> bool:
        """Return whether the finder has answered in full since the start."""
        return finder in self._answered

    def of(self, cluster_id: str) -> dict[str, Sighting]:
        """Return the sightings of one cluster, by finder."""
        return {finder: row[cluster_id] for finder, row in sorted(self._rows.items()) if cluster_id in row}
