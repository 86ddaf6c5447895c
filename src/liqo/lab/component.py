"""The programs of a cluster as data: arguments, files, when they are ready; pure. process.py runs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from liqo.lab.build import METRICS
from liqo.lab.spec import PORTS, ClusterSpec

LIQO = "liqo"  # names of components of ours
LIQO_LAN = "liqo-lan"
METRICS_PART = "metrics-server"
METRICS_PORT = 4443
PYTHON = "python"  # a program that is this interpreter; any other is one of the Go binary's
MACHINE = "machine"  # instead of a Kubernetes: the program is the machine's, or a path
POD_LOG_PREFIX = "2024-01-01T00:00:00Z stdout F"  # as a container runtime writes it (CRI log format)
CLIENT_LIMITS = ("--kube-api-qps=2000", "--kube-api-burst=4000")  # else theirs is the speed that one measures


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Ready when GET `path` on `service` answers 200."""

    service: str  # a key of spec.PORTS
    path: str
    tls: bool = True
    client: str = "admin"  # whose certificate of the cluster's PKI is shown
    ca: str = "ca"


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One program of one cluster.

    Args:
        name: as `status` shows it and `logs` takes it.
        program: which of the programs of the Go binary, or PYTHON.
        args: its arguments.
        kubernetes: which Kubernetes the program belongs to; "": the lab's newest.
        env: added to a small environment that is equal for all.
        files: written before it starts, by path under the cluster's folder.
        probe: when it is ready; None: when it runs.
        in_node: it runs inside the real node, with the node's mounts and processes.
        after: components that have to be ready before.
        stop_order: lower stops first.
    """

    name: str
    program: str
    args: tuple[str, ...]
    kubernetes: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    probe: Probe | None = None
    in_node: bool = False
    after: tuple[str, ...] = ()
    stop_order: int = 5


def etcd(spec: ClusterSpec) -> Component:
    """Return the store; without fsync, since a lab may lose its last second with the machine's power."""
    pki, client, peer = spec.pki, f"https://{spec.private}:{PORTS['etcd']}", f"https://{spec.private}:2380"
    return Component(
        name="etcd",
        program="etcd",
        args=(
            "--name=lab",
            f"--data-dir={spec.folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=lab={peer}",
            "--client-cert-auth",
            f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
            f"--cert-file={pki / 'etcd.crt'}",
            f"--key-file={pki / 'etcd.key'}",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={pki / 'etcd-ca.crt'}",
            f"--peer-cert-file={pki / 'etcd.crt'}",
            f"--peer-key-file={pki / 'etcd.key'}",
            "--log-level=warn",
        ),
        probe=Probe(service="etcd", path="/health", client="etcd", ca="etcd-ca"),
        stop_order=9,
    )


def kube_apiserver(spec: ClusterSpec) -> Component:
    """Return the API server."""
    pki = spec.pki
    # It refuses to publish a loopback address as endpoint of Service `kubernetes`.
    endpoints = ("--endpoint-reconciler-type=none",) if spec.host.startswith("127.") else ()
    anonymous = () if spec.anonymous else ("--anonymous-auth=false",)
    # kwok serves with the API server's own certificate, which this CA has signed for the same address.
    kubelets = (f"--kubelet-certificate-authority={pki / 'ca.crt'}",) if spec.kubelet_ca else ()
    return Component(
        name="kube-apiserver",
        program="kube-apiserver",
        kubernetes=spec.kubernetes,
        args=(
            f"--etcd-servers=https://{spec.private}:{PORTS['etcd']}",
            f"--etcd-cafile={pki / 'etcd-ca.crt'}",
            f"--etcd-certfile={pki / 'etcd.crt'}",
            f"--etcd-keyfile={pki / 'etcd.key'}",
            f"--bind-address={spec.host if endpoints else '0.0.0.0'}",  # noqa: S104  its own network
            f"--advertise-address={spec.host}",
            f"--secure-port={PORTS['api']}",
            f"--service-cluster-ip-range={spec.service_cidr}",
            f"--tls-cert-file={pki / 'server.crt'}",
            f"--tls-private-key-file={pki / 'server.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            # So that it can pass requests on to an API server behind it, such as metrics-server.
            f"--requestheader-client-ca-file={pki / 'front-ca.crt'}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki / 'front.crt'}",
            f"--proxy-client-key-file={pki / 'front.key'}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki / 'accounts.pub'}",
            f"--service-account-signing-key-file={pki / 'accounts.key'}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged",
            f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'kubelet-client.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            *endpoints,
            *anonymous,
            *kubelets,
        ),
        probe=Probe(service="api", path="/readyz"),
        after=("etcd",),
        stop_order=8,
    )


def kube_controller_manager(spec: ClusterSpec) -> Component:
    """Return the controllers of Kubernetes itself."""
    pki = spec.pki
    return Component(
        name="kube-controller-manager",
        program="kube-controller-manager",
        kubernetes=spec.kubernetes,
        args=(
            f"--kubeconfig={spec.folder / 'controller-manager.kubeconfig'}",
            f"--bind-address={spec.private}",
            f"--secure-port={PORTS['controller-manager']}",
            f"--tls-cert-file={pki / 'server.crt'}",
            f"--tls-private-key-file={pki / 'server.key'}",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={pki / 'accounts.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            "--leader-elect=false",
            *CLIENT_LIMITS,
        ),
        probe=Probe(service="controller-manager", path="/healthz"),
        after=("kube-apiserver",),
    )


def kube_scheduler(spec: ClusterSpec) -> Component:
    """Return the scheduler."""
    return Component(
        name="kube-scheduler",
        program="kube-scheduler",
        kubernetes=spec.kubernetes,
        args=(
            f"--kubeconfig={spec.folder / 'scheduler.kubeconfig'}",
            f"--bind-address={spec.private}",
            f"--secure-port={PORTS['scheduler']}",
            f"--tls-cert-file={spec.pki / 'server.crt'}",
            f"--tls-private-key-file={spec.pki / 'server.key'}",
            "--leader-elect=false",
            *CLIENT_LIMITS,
        ),
        probe=Probe(service="scheduler", path="/healthz"),
        after=("kube-apiserver",),
    )


def kwok(spec: ClusterSpec, config: str) -> Component:
    """Return the kubelet of all fake nodes; it leaves every other node alone.

    Args:
        spec: the cluster.
        config: its stages (nodes.forge_kwok_config).
    """
    return Component(
        name="kwok",
        program="kwok",
        args=(
            f"--config={spec.folder / 'kwok.yaml'}",
            f"--kubeconfig={spec.lan_kubeconfig}",
            "--manage-all-nodes=false",
            "--manage-nodes-with-label-selector=type=kwok",
            "--manage-nodes-with-annotation-selector=",
            "--node-lease-duration-seconds=40",
            f"--cidr={spec.pod_cidr}",
            f"--node-ip={spec.host}",
            f"--node-port={PORTS['kwok']}",
            f"--server-address={spec.host}:{PORTS['kwok']}",
            f"--tls-cert-file={spec.pki / 'server.crt'}",
            f"--tls-private-key-file={spec.pki / 'server.key'}",
        ),
        files={"kwok.yaml": config, "pod.log": f"{POD_LOG_PREFIX} a fake pod of {spec.name} says hello\n"},
        probe=Probe(service="kwok", path="/healthz"),
        after=("kube-apiserver",),
    )


def metrics_server(spec: ClusterSpec) -> Component:
    """Return metrics-server, which is ready when the API server serves what it says."""
    kubeconfig = spec.metrics_kubeconfig
    return Component(
        name=METRICS_PART,
        program="metrics-server",
        kubernetes=METRICS,
        args=(
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--bind-address={spec.private}",
            f"--secure-port={METRICS_PORT}",
            f"--cert-dir={spec.folder / METRICS_PART}",
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-use-node-status-port",
            "--metric-resolution=10s",  # the shortest that it takes
            "--kubelet-request-timeout=5s",
        ),
        probe=Probe(service="api", path="/apis/metrics.k8s.io/v1beta1"),
        stop_order=1,
    )


def liqo(
    spec: ClusterSpec, *, extra_args: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Component:
    """Return Liqo's controller, with the rights of its own ServiceAccount and never an administrator's.

    Args:
        spec: the cluster.
        extra_args: further arguments of `liqo controller`.
        env: further environment.
    """
    skew = {"LIQO_CLOCK_SKEW": f"{spec.skew:g}"} if spec.skew else {}
    loopback = ("--allow-loopback",) if spec.host.startswith("127.") else ()
    return Component(
        name=LIQO,
        program=PYTHON,
        args=(
            "-m",
            "liqo",
            "controller",
            f"--kubeconfig={spec.controller_kubeconfig}",
            "--namespace=liqo",
            f"--listen={spec.host}",
            *loopback,
            *extra_args,
        ),
        env={**skew, **(env or {})},
        probe=Probe(service="liqo", path="/readyz", tls=False),
        after=("kube-apiserver",),
        stop_order=1,
    )


def liqo_lan(
    spec: ClusterSpec, *, extra_args: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Component:
    """Return Liqo's LAN agent, with the rights of its own ServiceAccount.

    Args:
        spec: the cluster.
        extra_args: further arguments of `liqo lan`.
        env: further environment.
    """
    return Component(
        name=LIQO_LAN,
        program=PYTHON,
        args=(
            "-m",
            "liqo",
            "lan",
            f"--kubeconfig={spec.agent_kubeconfig}",
            "--namespace=liqo",
            f"--listen={spec.host}",
            *extra_args,
        ),
        env=dict(env or {}),
        probe=Probe(service="liqo-lan", path="/readyz", tls=False),
        after=("kube-apiserver",),
        stop_order=1,
    )


def plane(spec: ClusterSpec, kwok_config: str) -> tuple[Component, ...]:
    """Return everything that makes a cluster, but Liqo, in an order in which it can start."""
    return (
        etcd(spec),
        kube_apiserver(spec),
        kube_controller_manager(spec),
        kube_scheduler(spec),
        kwok(spec, kwok_config),
    )
