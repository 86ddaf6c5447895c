"""A cluster whose key is lost, put back or given up while it has peers."""

import json
import stat
from pathlib import Path

import pytest

from e2e_peers import Peers, liqo
from liqo.app.demo import NAME
from liqo.errors import Unavailable
from liqo.lab.lab import LIQO

pytestmark = pytest.mark.lab

ENDED_SECONDS = 150.0  # until a refusal is believed: said twice, ten seconds apart, and lasting a minute


@pytest.mark.parametrize("side", ["rome", "milan"])
def test_a_lost_key_is_told_and_put_back_from_a_copy_without_a_new_request(
    peers: Peers, side: str, tmp_path: Path
) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    before = peers.items("milan", "fr", "-n", "liqo")
    stranger = "rome" if side == "milan" else "milan"
    copy, other = tmp_path / "mine.json", tmp_path / "another.json"
    assert liqo(peers, side, "identity", "backup", str(copy)).returncode == 0
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert "cannot be made: File exists" in liqo(peers, side, "identity", "backup", str(copy)).stderr
    other.write_text(liqo(peers, stranger, "identity", "backup", "--stdout").stdout)

    peers.lab.kubectl(side, "delete", "secret", "cluster-identity", "-n", "liqo")
    peers.lab.stop(side, LIQO)
    shown = liqo(peers, side, "identity", "show", "-o", "json")
    assert shown.returncode == 1
    assert json.loads(shown.stdout) == {
        "clusterID": peers.id_of(side),
        "keyOf": None,
        "problem": "IdentityLost",
    }
    try:
        with pytest.raises(Unavailable, match="is lost") as told:
            peers.lab.start(side, LIQO)
        assert "liqo identity restore FILE" in str(told.value)
        events = peers.items(side, "events", "-n", "liqo", "--field-selector", "reason=IdentityLost")
        assert {e["involvedObject"]["name"] for e in events} == {"cluster-id"}
        assert "liqo identity restore FILE" in events[0]["message"]
        refused = liqo(peers, side, "identity", "restore", str(other))
        assert refused.returncode == 1
        assert f"the copy is of cluster {peers.id_of(stranger)}, and this is" in refused.stderr
    finally:
        restored = liqo(peers, side, "identity", "restore", str(copy))
        peers.lab.start(side, LIQO)
    assert f"the key of cluster {peers.id_of(side)} is back" in restored.stdout
    peers.until(lambda: peers.is_ready("rome"))
    peers.until(lambda: peers.condition("rome", "NodeReady") == ("True", "Ready"))
    after = peers.items("milan", "fr", "-n", "liqo")
    assert [r["metadata"]["uid"] for r in after] == [r["metadata"]["uid"] for r in before]


@pytest.mark.long
def test_a_cluster_that_gave_its_identity_up_joins_again_as_another(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    old = peers.id_of("rome")
    warned = liqo(peers, "rome", "identity", "new")
    assert warned.returncode == 1
    assert f"this cluster ({old}) would be another one to everybody" in warned.stderr
    assert liqo(peers, "rome", "identity", "show").stdout == f"{old}\n"
    assert liqo(peers, "rome", "identity", "new", "--yes").returncode == 0
    peers.lab.stop("rome", LIQO)
    peers.lab.start("rome", LIQO)
    new = peers.id_of("rome")
    assert new != old

    def is_all_that_is_there() -> bool:
        kept = peers.lab.kubectl("milan", "get", "fc,fr,sa,roles,rolebindings,namespaces", "-A", "-o", "json")
        assert old not in kept
        assert new in kept
        return peers.is_ready("rome")

    peers.until(is_all_that_is_there, ENDED_SECONDS)
    peers.until(lambda: peers.condition("rome", "NodeReady") == ("True", "Ready"))
    assert len(peers.items("rome", "fc")) == 1
    assert peers.items("rome", "fc")[0]["metadata"]["name"] == NAME
