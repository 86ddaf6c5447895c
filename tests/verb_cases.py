"""Scripts that use the verbs of kubectl on pods, on any node; what each prints, and its exit code, is compared.

The page docs/reference/pods.md says of each verb of kubectl what it does on a virtual node. A script runs where kubectl
has the right namespace, with the name of the node in NODE, an image in IMAGE, and in PIN what keeps a pod on that node.
"""

from dataclasses import dataclass
from typing import Any

from liqo.lab.image import IMAGE

SLEEP = "trap 'exit 0' TERM; sleep 600 & wait"
STUBBORN = "trap '' TERM; sleep 600 & wait; wait"


@dataclass(frozen=True, slots=True)
class Verb:
    """One use of a verb.

    Attributes:
        script: what is typed.
        refused: what is said of it on a virtual node, and not on a real one; "": the same is said on both.
    """

    script: str
    refused: str = ""


def _pod(name: str, script: str = "", spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    command = {"command": ["sh", "-c", script]} if script else {}
    main = {"name": "main", "image": IMAGE, **command, **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"verbs": name}},
        "spec": {"containers": [main], "automountServiceAccountToken": False, **(spec or {})},
    }


PODS = (
    _pod(
        "web",
        readinessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 30},
    ),
    _pod("talks", f"for i in 1 2 3; do echo line $i; done; {SLEEP}"),
    _pod("falls", "exit 3"),
    _pod(
        "fell",
        f"if test -e /been/there; then {SLEEP}; fi; touch /been/there; echo once; exit 3",
        {"volumes": [{"name": "been", "emptyDir": {}}]},
        volumeMounts=[{"name": "been", "mountPath": "/been"}],
    ),
    _pod("listens", "while read word; do echo heard $word; done", stdin=True),
    _pod("shell", command=["sh"], stdin=True, tty=True),
    _pod("debugged", SLEEP),
    _pod("edited", SLEEP),
    _pod("changes", SLEEP, resources={"requests": {"cpu": "5m"}}),
    _pod("replaced", SLEEP),
    _pod("asked-to-go", "trap 'exit 0' TERM; sleep 600 & wait"),
    _pod("told-now", STUBBORN),
    _pod("forced", STUBBORN),
    _pod("drained", SLEEP),
    _pod("evicted", SLEEP),
)
"""What the scripts work on, each with a label of its own; what one of them changes, no other looks at."""

TERMINAL = """
terminal() {
    python3 -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' "$@"
}
"""
_READY = "kubectl wait --for=condition=Ready --timeout=100s"
_RUN = 'kubectl run --image=$IMAGE --overrides="$PIN"'
_COUNT = "'echo $((6 * 7)) answers; exit 5'"  # what a terminal repeats of it is not what it says
_MANY = (
    "kubectl create deployment many --image=$IMAGE --replicas=0 && "
    """kubectl patch deployment many -p "{\\"spec\\": {\\"template\\": $PIN}}" && """
)

VERBS: dict[str, Verb] = {
    # Looking.
    "get": Verb("kubectl get pods web -o wide; kubectl get pod -l verbs=talks -o name"),
    "get-watch": Verb(
        """kubectl get pod changes -w -o jsonpath='{.metadata.annotations.seen}{"\\n"}' >seen & """
        "until test -s seen; do sleep 0.1; done; "
        "for what in one two; do kubectl annotate pod changes --overwrite seen=$what && "
        "until grep -q $what seen; do sleep 0.1; done; done; kill $!; uniq seen"
    ),
    "describe": Verb("kubectl describe pod talks | sed -n '/^Containers:/,/^Conditions:/p'"),
    "events": Verb(
        "until kubectl events --for pod/falls --types=Warning --no-headers 2>&1 | "
        "grep -o 'BackOff.*restarting failed' >found; do sleep 1; done; head -1 found"
    ),
    "wait": Verb(
        f"{_READY} pod/web; kubectl wait --for=jsonpath='{{.status.phase}}'=Running pod/talks; "
        "kubectl wait --for=condition=Ready=False pod/falls; kubectl wait --for=condition=Ready pod/none"
    ),
    # What it says.
    "logs": Verb("kubectl logs talks; kubectl logs talks -c main --tail=1; kubectl logs talks -c other"),
    "logs-since": Verb("kubectl logs talks --since=1h; kubectl logs talks --since-time=2100-01-01T00:00:00Z"),
    "logs-timestamps": Verb("kubectl logs talks --timestamps | grep -cE '^2[0-9]{3}(-[0-9]+){2}T[^ ]+ line'"),
    "logs-prefix": Verb("kubectl logs -l verbs=talks --prefix --all-containers"),
    "logs-previous": Verb(
        "kubectl wait pod/fell --for=jsonpath='{.status.containerStatuses[0].restartCount}'=1 --timeout=90s && "
        "kubectl logs fell -p; kubectl logs talks -p"
    ),
    "logs-bytes": Verb("kubectl logs talks --limit-bytes=5"),
    "logs-follow": Verb(
        f"{_RUN} brief --restart=Never --command -- sh -c 'echo one; sleep 1; echo two' && "
        "kubectl wait --for=jsonpath='{.status.containerStatuses[0].containerID}' pod/brief --timeout=90s >waited && "
        "kubectl logs -f brief; kubectl delete pod brief"
    ),
    # Commands, terminals, files and ports.
    "exec": Verb("kubectl exec web -- sh -c 'echo out; echo err >&2; exit 7'"),
    "exec-input": Verb("seq 10000 | kubectl exec -i web -- md5sum"),
    "exec-terminal": Verb(f"echo {_COUNT} | terminal kubectl exec -it web -- sh | grep -o '42 answers'"),
    "exec-none": Verb("kubectl exec web -- /no/such/program; kubectl exec web -c other -- true"),
    "attach": Verb(
        "touch said; (echo word; until grep heard said >&2; do sleep 0.1; done) | "
        "kubectl attach -q -i listens >said; cat said"
    ),
    "attach-terminal": Verb(f"echo {_COUNT} | terminal kubectl attach -it shell | grep -o '42 answers'"),
    "cp": Verb(
        "seq 1000 >sent; kubectl cp sent web:/tmp/sent && kubectl cp web:/tmp/sent got >/dev/null && cmp sent got && "
        "mkdir -p some/deep && echo x >some/deep/file && kubectl cp some web:/tmp/some && "
        "kubectl exec web -- cat /tmp/some/deep/file"
    ),
    "port-forward": Verb(
        "touch said; kubectl port-forward web :8080 >said & until grep -q 127.0.0.1 said; do sleep 0.1; done; "
        "wget -qO- http://127.0.0.1:$(sed -n 's/.*127.0.0.1:\\([0-9]*\\).*/\\1/p' said)/; kill $!"
    ),
    "proxy": Verb("kubectl get --raw /api/v1/namespaces/$NAMESPACE/pods/web:8080/proxy/"),
    # Changing.
    "label": Verb("kubectl label pod changes tier=front && kubectl get pod -l tier=front -o name"),
    "annotate": Verb(
        "kubectl annotate pod changes note=new && kubectl get pod changes -o jsonpath='{.metadata.annotations.note}'"
    ),
    "patch": Verb("""kubectl patch pod changes -p '{"spec": {"activeDeadlineSeconds": 6000}}'"""),
    "patch-not": Verb("""kubectl patch pod changes -p '{"spec": {"hostname": "other"}}' 2>&1 | head -1"""),
    "patch-resize": Verb(
        "kubectl patch pod changes --subresource resize -p "
        """'{"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "7m"}}}]}}'""",
        refused="Pod running on node without support for resize",
    ),
    "edit": Verb(
        """EDITOR="sed -i 's/verbs: edited/verbs: done/'" kubectl edit pod edited && """
        "kubectl get pod edited -o jsonpath='{.metadata.labels.verbs}'"
    ),
    "set-image": Verb(
        "kubectl set image pod/changes main=liqo.lab/pause:1 && "
        "kubectl wait pod/changes --timeout=60s --for=jsonpath='{.status.containerStatuses[0].restartCount}'=1 && "
        "kubectl get pod changes -o jsonpath='{.status.containerStatuses[0].image}'"
    ),
    "apply": Verb(
        f"{_RUN} applied --dry-run=client -o yaml >pod.yaml && kubectl apply -f pod.yaml && {_READY} pod/applied && "
        "sed -i s/busybox:1/pause:1/ pod.yaml && kubectl diff -f pod.yaml | grep '^[+-].*image:'; "
        "kubectl apply -f pod.yaml && kubectl delete -f pod.yaml --now"
    ),
    "deploy": Verb(
        f"{_MANY} kubectl scale deployment many --replicas=2 && kubectl rollout status deployment many | tail -1; "
        "kubectl rollout restart deployment many && kubectl rollout status deployment many | tail -1; "
        "kubectl autoscale deployment many --min=1 --max=2 --cpu=50%; kubectl delete hpa,deployment many"
    ),
    "expose": Verb(
        "kubectl expose pod web --port=80 --target-port=8080 --name=shown && kubectl delete service shown"
    ),
    # Making and ending.
    "run": Verb(f"{_RUN} made && {_READY} pod/made && kubectl delete pod made --now"),
    "run-terminal": Verb(
        f"echo {_COUNT} | terminal {_RUN} -it --rm --restart=Never asked --command -- sh | grep -o '42 answers'; "
        "kubectl get pod asked"
    ),
    "replace": Verb(
        "kubectl get pod replaced -o json >pod.json && kubectl replace --force -f pod.json && "
        f"{_READY} pod/replaced"
    ),
    "delete": Verb("kubectl delete pod asked-to-go --grace-period=50 && kubectl get pod asked-to-go"),
    "delete-now": Verb("kubectl delete pod told-now --now && kubectl get pod told-now"),
    "delete-forced": Verb("kubectl delete pod forced --force && kubectl get pod forced"),
    "debug": Verb(
        "kubectl debug debugged -q -c looks --image=$IMAGE --profile=baseline -- true",
        refused="a pod that runs on another cluster takes no ephemeral containers",
    ),
    "debug-copy": Verb(
        f"kubectl debug web --copy-to=copy --container=main --profile=baseline -- sleep 600 && {_READY} pod/copy && "
        "kubectl delete pod copy --now"
    ),
    "auth": Verb(
        "kubectl auth can-i create pods/exec; kubectl auth can-i get pods --subresource=log --as=nobody"
    ),
    # The node.
    "cordon": Verb(
        f"kubectl cordon $NODE && {_RUN} late && kubectl wait --for=condition=PodScheduled=False pod/late && "
        f"kubectl get pod web && kubectl uncordon $NODE && {_READY} pod/late && kubectl delete pod late --now"
    ),
    "taint": Verb(
        f"kubectl taint node $NODE example.org/x:NoSchedule && {_RUN} late && "
        "kubectl wait --for=condition=PodScheduled=False pod/late && "
        f"kubectl taint node $NODE example.org/x- && {_READY} pod/late && kubectl delete pod late --now"
    ),
    "drain": Verb(
        "kubectl drain $NODE --pod-selector=verbs=drained --force --timeout=60s; kubectl get pod drained; "
        "kubectl uncordon $NODE"
    ),
    "evict": Verb(
        "kubectl create pdb keep --selector=verbs=evicted --min-available=1 && "
        "kubectl wait pdb/keep --for=jsonpath='{.status.currentHealthy}'=1 --timeout=60s && "
        "kubectl drain $NODE --pod-selector=verbs=evicted --force --timeout=4s 2>&1 | "
        "grep -o 'violate.*budget' | sort -u; "
        "kubectl get pod evicted; kubectl delete pdb keep; "
        "kubectl drain $NODE --pod-selector=verbs=evicted --force --timeout=60s; kubectl uncordon $NODE"
    ),
}
"""By the name that the page gives it."""
