"""The second half of the demo: pods of one cluster that run on the other."""

import json
import sys
from pathlib import Path
from typing import Any

from liqo.api.meta import Wire
from liqo.api.names import ENABLED_LABEL, HOME_NAMESPACE_LABEL
from liqo.app.demo_screen import Screen
from liqo.errors import Refused, Unavailable
from liqo.lab.forward import forwarded
from liqo.lab.image import IMAGE

MANIFEST = Path(__file__).parent / "shop.yaml"
NAMESPACE, DEPLOYMENT = "shop", "deployment/web"
WITHIN_SECONDS = 50  # less than the lab gives a command

PUBLIC_IMAGE = "busybox:1.37"
PORT = 8080
GET = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read().decode())"
"""What curl does, which not every machine has."""

FAKE = (
    "The nodes of this lab are fake: milan's API server and scheduler are real, but no container runs. So the log is\n"
    "one line that the lab wrote, and kubectl exec and port-forward would find nobody."
)


def run_pods(screen: Screen, home: str, foreign: str, *, fake: bool) -> None:
    """Let the pods of a namespace run elsewhere, have two there, and look at them from both sides.

    What is there already, of a demo before, is taken as it is.

    Args:
        screen: where it is shown.
        home: the cluster whose pods they are.
        foreign: the cluster that they run on, which home has joined.
        fake: whether the nodes run no containers.

    Raises:
        Unavailable: they do not run in time; the message says why.
        Refused: a command fails.
    """
    lab = screen.lab
    if not lab.kubectl(home, "get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name"):
        screen.run(home, "create", "namespace", NAMESPACE)
    screen.run(home, "label", "--overwrite", "namespace", NAMESPACE, f"{ENABLED_LABEL}=true")
    screen.step(f"pods of the namespace {NAMESPACE} may run on the clusters that {home} has joined")
    manifest = MANIFEST.read_text()
    if not fake:
        manifest = manifest.replace(PUBLIC_IMAGE, IMAGE)  # the lab asks no registry
    path = lab.folder / MANIFEST.name
    path.write_text(manifest)
    screen.file(manifest)
    applied = screen.clock.now()
    screen.run(home, "apply", "-f", str(path))
    _wait(screen, home)
    took = (screen.clock.now() - applied).total_seconds()
    screen.step(f"both pods run on {foreign}, {took:.1f} s after kubectl apply")
    screen.say("")
    screen.show(home, "get", "pods", "-n", NAMESPACE, "-o", "wide")
    screen.say("")
    screen.show(foreign, "get", "pods", "-n", _remote(screen, foreign), "-o", "wide")
    screen.say("")
    screen.show(home, "logs", "-n", NAMESPACE, DEPLOYMENT)
    if fake:
        screen.say(f"\n{FAKE}")
        return
    screen.say("")
    screen.show(home, "exec", "-n", NAMESPACE, DEPLOYMENT, "--", "sh", "-c", "echo this is $(hostname)")
    screen.say("")
    _forward(screen, home)


def _forward(screen: Screen, home: str) -> None:
    """Ask one of the web servers through a port of home's own host.

    Raises:
        Unavailable: the port is not forwarded.
        Refused: nobody answers.
    """
    screen.say(f"  {home}$ kubectl port-forward -n {NAMESPACE} {DEPLOYMENT} {PORT}:{PORT} &")
    screen.doing("waiting for the port")
    with forwarded(
        screen.lab, home, ("-n", NAMESPACE, DEPLOYMENT, f":{PORT}")
    ) as port:  # that one may be taken
        screen.say(f"  {home}$ curl http://127.0.0.1:{PORT}/")
        done = screen.lab.exec(home, (sys.executable, "-c", GET, f"http://127.0.0.1:{port}/"))
    if done.returncode:
        raise Refused(f"no web server answers: {done.stderr.strip()[-300:]}")
    screen.say(done.stdout.strip())


def _wait(screen: Screen, home: str) -> None:
    """Wait until the pods run.

    Raises:
        Unavailable: they do not in time; the message says what each of them waits for.
    """
    try:
        screen.run(home, "rollout", "status", "-n", NAMESPACE, DEPLOYMENT, f"--timeout={WITHIN_SECONDS}s")
    except Refused as late:
        found = json.loads(screen.lab.kubectl(home, "get", "pods", "-n", NAMESPACE, "-o", "json"))
        why = "; ".join(filter(None, map(waits_for, found["items"]))) or late.message
        raise Unavailable(
            f"the pods do not run: {why}", hint=f"kubectl describe pods -n {NAMESPACE}; liqo status"
        ) from late


def waits_for(pod: Wire) -> str:
    """Return what a pod says that it waits for; "" if nothing."""
    status: Any = pod.get("status", {})
    said = [c["state"].get("waiting") for c in status.get("containerStatuses", ())]
    said += [c for c in status.get("conditions", ()) if c["status"] == "False" and c.get("message")]
    first = next(filter(None, said), None)
    return f"{pod['metadata']['name']}: {first.get('message') or first.get('reason')}" if first else ""


def _remote(screen: Screen, foreign: str) -> str:
    """Return the namespace on foreign that stands for ours."""
    mine = ("-l", f"{HOME_NAMESPACE_LABEL}={NAMESPACE}", "-o", "name")
    return screen.lab.kubectl(foreign, "get", "namespaces", *mine).strip().removeprefix("namespace/")
