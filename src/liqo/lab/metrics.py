"""metrics-server in a cluster of the lab, with the rights of its own ServiceAccount; what `kubectl top` asks."""

from dataclasses import dataclass

from liqo.api.meta import Wire
from liqo.errors import Unavailable
from liqo.lab.build import METRICS, ensure_metrics_binaries
from liqo.lab.client import api
from liqo.lab.component import METRICS_PORT, metrics_server
from liqo.lab.kubeconfig import forge_token_kubeconfig
from liqo.lab.plane import CONFLICT, CREATED, Runner
from liqo.lab.spec import ClusterSpec
from liqo.lab.state import write_private

SYSTEM = "kube-system"
ACCOUNT = "metrics-server"
TOKEN_SECONDS = 10 * 365 * 24 * 3600  # longer than any lab
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class MetricsServer:
    """Starts metrics-server in clusters."""

    runner: Runner

    @classmethod
    def ready(cls, runner: Runner) -> "MetricsServer":
        """Return it with the program built.

        Raises:
            Unavailable: it cannot be.
        """
        runner.binaries = {**runner.binaries, METRICS: ensure_metrics_binaries(runner.progress)}
        return cls(runner)

    def start(self, spec: ClusterSpec) -> list[str]:
        """Start it if it does not run, and wait until the API server serves what it says; return what was started.

        Raises:
            Unavailable: it ends, or it is not served.
        """
        for path, value in forge_metrics_objects(spec):
            answer = api(spec, "POST", path, value)
            if answer.status not in (CREATED, CONFLICT):
                raise Unavailable(f"{spec.name}: no metrics-server: {answer.body.decode()}")
        if not spec.metrics_kubeconfig.exists():
            write_private(spec.metrics_kubeconfig, _kubeconfig(spec))
        return self.runner.start_all(spec, [metrics_server(spec)])


def _kubeconfig(spec: ClusterSpec) -> str:
    path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{ACCOUNT}/token"
    answer = api(spec, "POST", path, {"spec": {"expirationSeconds": TOKEN_SECONDS}})
    if answer.status != CREATED:
        raise Unavailable(f"{spec.name}: no token for metrics-server: {answer.body.decode()}")
    ca, token = (spec.pki / "ca.crt").read_text(), answer.json()["status"]["token"]
    return forge_token_kubeconfig(name=spec.name, server=spec.api_url, ca=ca, token=token)


def forge_metrics_objects(spec: ClusterSpec) -> list[tuple[str, Wire]]:
    """Return what metrics-server needs in a cluster, each with the path where it is created.

    It runs beside the cluster, so that its Service is a name for where it listens.
    """
    subject = {"kind": "ServiceAccount", "namespace": SYSTEM, "name": ACCOUNT}
    role = {
        "metadata": {"name": "system:metrics-server"},
        "rules": [
            {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list", "watch"]},
        ],
    }
    reader = {
        "metadata": {"name": f"{ACCOUNT}-auth-reader"},
        "roleRef": _role_ref("Role", "extension-apiserver-authentication-reader"),
        "subjects": [subject],
    }
    service = {
        "metadata": {"name": ACCOUNT},
        "spec": {"type": "ExternalName", "externalName": spec.private},
    }
    version = {
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": {"namespace": SYSTEM, "name": ACCOUNT, "port": METRICS_PORT},
            "insecureSkipTLSVerify": True,  # its certificate is its own, as where its own manifest runs it
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }
    return [
        (f"/api/v1/namespaces/{SYSTEM}/serviceaccounts", {"metadata": {"name": ACCOUNT}}),
        (f"{_RBAC}/clusterroles", role),
        *(
            (
                f"{_RBAC}/clusterrolebindings",
                {
                    "metadata": {"name": f"{ACCOUNT}:{each}"},
                    "roleRef": _role_ref("ClusterRole", each),
                    "subjects": [subject],
                },
            )
            for each in ("system:metrics-server", "system:auth-delegator")
        ),
        (f"{_RBAC}/namespaces/{SYSTEM}/rolebindings", reader),
        (f"/api/v1/namespaces/{SYSTEM}/services", service),
        ("/apis/apiregistration.k8s.io/v1/apiservices", version),
    ]


def _role_ref(kind: str, name: str) -> Wire:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
