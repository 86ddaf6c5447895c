"""Looks everywhere for secrets after the whole life of a peering with debug logging on: none is shown in clear."""

import base64
import json
import re
import urllib.request
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from e2e_peers import Peers
from liqo.app.lab import up_with_liqo
from liqo.lab.lab import LIQO, LIQO_LAN, Lab
from liqo.lab.pytest_plugin import Eventually, LabFactory
from offloading import FOREIGN, HOME, Shop

pytestmark = pytest.mark.lab

SIDES = (HOME, FOREIGN)
PLANTED = "planted-4f1c9be07d2a?/+&=ü"  # every encoding changes it
COMMANDS = ("status", "clusters", "requests", "doctor")
WRONG = (
    ["join", f"https://{PLANTED[:20]}@192.0.2.1:6443"],
    ["join", "https://192.0.2.1:6443", "--kubeconfig", "absent"],
    ["accept", "nobody"],
)
SHOWN = (
    "events,fc,fr,adv,namespacemaps,searchdomains,clusterconfigs,nodes,namespaces,pods,configmaps,leases,csr"
)


@pytest.fixture
def talkative(lab_factory: LabFactory, eventually: Eventually) -> Iterator[Peers]:
    """Two clusters whose controllers and LAN agents tell all that they can."""
    lab = lab_factory()
    up_with_liqo(lab, SIDES, lan=True)
    for side in SIDES:
        for part in (LIQO, LIQO_LAN):
            lab.stop(side, part)
            lab.start(side, part, env={"LIQO_LOG": "debug"})
    yield Peers(lab, eventually)
    lab.down()


def forms(secret: str) -> set[str]:
    """Return what a secret would look like, wherever it stands in a text."""
    raw = secret.encode()
    shifted = [
        base64.b64encode(b"x" * shift + raw).decode()[4:-4] for shift in range(3)
    ]  # inside of other bytes
    urlsafe = [text.translate(str.maketrans("+/", "-_")) for text in shifted]
    texts = {
        secret,
        repr(raw)[2:-1],
        json.dumps(secret)[1:-1],
        secret.replace("&", r"\u0026"),
    }  # so writes Go
    found = {*texts, quote(secret), quote(secret, safe=""), raw.hex(), *shifted, *urlsafe}
    return {form for form in found if len(form) >= 12}  # shorter ones stand everywhere by chance


def leaks(texts: Iterable[str], secrets: Iterable[str]) -> list[str]:
    """Return which secrets are shown, each by its beginning."""
    whole = "\n".join(texts)
    return sorted({secret[:6] for secret in secrets if any(form in whole for form in forms(secret))})


def tokens(texts: Iterable[str]) -> list[str]:
    """Return the beginnings of all tokens of ServiceAccounts, ours or not."""
    words = {word for text in texts for word in re.split(r"[^\w.-]+", text)}
    return [word[:20] for word in words if "kubernetes.io" in _claims(word)]


def _claims(word: str) -> dict[str, Any]:
    parts = word.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def private_parts(lab: Lab, side: str) -> set[str]:
    """Return what of a cluster's identity, certificates and kubeconfigs nobody may see."""
    found = set()
    secrets = json.loads(lab.kubectl(side, "get", "secrets", "-n", "liqo", "-o", "json"))["items"]
    for secret in secrets:
        for name, value in (secret.get("data") or {}).items():
            text = base64.b64decode(value).decode()
            if name.endswith(".jwk"):
                found.add(json.loads(text)["d"])
            elif "PRIVATE KEY" in text:
                found |= {line for line in text.splitlines() if len(line) == 64}
    for path in (lab.cluster(side).controller_kubeconfig, lab.cluster(side).agent_kubeconfig):
        (user,) = yaml.safe_load(path.read_text())["users"]
        found.add(user["user"]["token"])
    return found


def everything(peers: Peers) -> list[str]:
    """Return all that either side shows to whoever may look but not read Secrets."""
    lab, found = peers.lab, []
    for side in SIDES:
        found += [lab.log(side, part).read_text() for part in (LIQO, LIQO_LAN)]
        found.append(lab.kubectl(side, "get", SHOWN, "-A", "-o", "json", "--show-managed-fields"))
        for part in (LIQO, LIQO_LAN):
            address, port = lab.cluster(side).reach(part)
            with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=30) as answer:
                found.append(answer.read().decode())
    return found


def says(peers: Peers, *args: str) -> str:
    done = peers.lab.exec(HOME, ["liqo", *args])
    return done.stdout + done.stderr


@pytest.mark.seconds(240)
def test_no_secret_is_shown_anywhere_in_the_whole_life_of_a_peering(talkative: Peers) -> None:
    peers, lab, shop = talkative, talkative.lab, Shop(talkative, "till")
    lab.kubectl(HOME, "create", "namespace", shop.name)
    lab.kubectl(HOME, "label", "namespace", shop.name, "liqo.io/enabled=true")
    lab.kubectl(HOME, "create", "secret", "generic", "card", f"--from-literal=pin={PLANTED}", "-n", shop.name)
    secrets = {PLANTED}.union(*(private_parts(lab, side) for side in SIDES))
    assert len(secrets) > 4 * len(SIDES)

    peers.apply_seed(HOME, FOREIGN)
    peers.until(partial(peers.is_ready, HOME))
    reference = {"name": "PIN", "valueFrom": {"secretKeyRef": {"name": "card", "key": "pin"}}}
    volume = {"name": "card", "secret": {"secretName": "card"}}
    container = {"name": "web", "image": "web:1", "env": [reference]}
    shop.deploy(1, containers=[container], volumes=[volume])
    peers.until(partial(shop.is_running, 1))
    there = peers.get(FOREIGN, "secret", "card", "-n", shop.remote)["data"]["pin"]
    assert base64.b64decode(there).decode() == PLANTED, "it went over, so that somebody could have shown it"
    while_joined = everything(peers)
    said = [says(peers, command, "-o", "json") for command in COMMANDS]
    said += [says(peers, *args) for args in WRONG]

    lab.kubectl(HOME, "delete", "deployments,pods", "--all", "-n", shop.name, "--wait=false")
    lab.kubectl(HOME, "delete", "fc", "--all", "--wait=false")
    peers.until(lambda: peers.is_clean(HOME) and peers.is_clean(FOREIGN))
    seen = [*while_joined, *everything(peers), *said]
    assert any("debug" in text for text in seen)
    assert leaks(seen, secrets) == []
    assert tokens(seen) == []

    # The same look finds what is shown, where an API server shows it, and in any encoding.
    lab.kubectl(HOME, "annotate", "namespace", shop.name, f"pin={PLANTED}")
    assert leaks(everything(peers), secrets) == [PLANTED[:6]]
    assert all(leaks([f"…{form}…"], [PLANTED]) for form in forms(PLANTED))
    assert leaks([f"token={secret}" for secret in secrets], secrets) == sorted({s[:6] for s in secrets})
    controller = yaml.safe_load(lab.cluster(HOME).controller_kubeconfig.read_text())["users"][0]["user"][
        "token"
    ]
    assert tokens([f'{{"authorization": "Bearer {controller}"}}'])
