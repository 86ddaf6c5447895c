"""What a real node needs of the machine beside processes: its namespaces, cgroups, image and certificates."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from liqo.errors import Refused, Unavailable
from liqo.lab.image import COMMANDS, forge_images
from liqo.lab.kubeconfig import forge_kubeconfig
from liqo.lab.pki import load_pair, make_client, make_server
from liqo.lab.process import command_name, find
from liqo.lab.real import (
    HELD,
    HIDDEN,
    NODE_PART,
    POD_PART,
    SHIM,
    SHIM_PATH,
    SOCKET,
    cgroup_name,
    cgroup_prefix,
    node_folder,
)
from liqo.lab.spec import NAMESPACE, ClusterSpec
from liqo.lab.state import write_private
from liqo.lab.wait import until

HOLD_SECONDS = 10.0
RUNTIME_SECONDS = 60.0  # containerd on a machine that is busy with other things
CTR_SECONDS = 60.0
CGROUP_SECONDS = 10.0  # the kernel empties a cgroup a moment after its last process died


def enter_node(folder: Path, cluster: str) -> tuple[str, ...]:
    """Return what to put before a command so that it runs inside a node.

    Raises:
        Unavailable: the node is not held, or its mounts failed.
    """
    found = 0

    def held() -> bool:
        nonlocal found
        ours = (r.pid for r in find(folder) if r.cluster == cluster and r.part == NODE_PART)
        found = next((pid for pid in ours if command_name(pid) == HELD), 0)
        return bool(found)

    if not until(held, seconds=HOLD_SECONDS):
        raise Unavailable(
            f"{cluster}: its node has no namespaces", hint=f"liqo lab logs {cluster} {NODE_PART}"
        )
    return ("nsenter", "--target", str(found), "--net", "--mount", "--pid", "--")


def check_folder(folder: Path) -> None:
    """Check that a node sees the lab's folder.

    Raises:
        Refused: it lies where a node has something of its own.
    """
    for hidden in HIDDEN:
        if folder.is_relative_to(hidden):
            raise Refused(
                f"a lab with real nodes cannot be in {hidden}", hint="set LIQO_LAB_DIR to a folder elsewhere"
            )


def prepare_node(spec: ClusterSpec, tools: Path) -> None:
    """Write keys, kubeconfigs and the shim of a node, those that are missing, and make its cgroups."""
    folder = node_folder(spec)
    shim = folder / SHIM_PATH
    shim.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shim.write_text(SHIM.format(part=POD_PART, shim=tools / "usr/bin/containerd-shim-runc-v2"))
    shim.chmod(0o700)
    if not (spec.pki / "node.crt").exists():
        ca = load_pair(spec.pki, "ca")
        pairs = {
            "node": make_server(ca, spec.real_node, (spec.host, spec.real_node)),
            "kubelet": make_client(ca, f"system:node:{spec.real_node}", "system:nodes"),
            "kube-proxy": make_client(ca, "system:kube-proxy"),
        }
        for what, pair in reversed(pairs.items()):
            write_private(spec.pki / f"{what}.key", pair.key_pem)
            write_private(spec.pki / f"{what}.crt", pair.certificate_pem)
    for who in ("kubelet", "kube-proxy"):
        text = forge_kubeconfig(
            name=spec.name,
            server=spec.api_url,
            ca=(spec.pki / "ca.crt").read_text(),
            certificate=(spec.pki / f"{who}.crt").read_text(),
            key=(spec.pki / f"{who}.key").read_text(),
            namespace=NAMESPACE,
        )
        write_private(folder / f"{who}.kubeconfig", text)
    make_cgroups(cgroup_name(spec))


def ensure_images(folder: Path, spec: ClusterSpec, tools: Path, env: dict[str, str]) -> None:
    """Wait for containerd, and give it the lab's images unless it has them.

    Raises:
        Unavailable: containerd does not answer, or takes no image.
    """
    ctr = (*enter_node(folder, spec.name), str(tools / "usr/bin/ctr"), "-a", SOCKET, "-n", "k8s.io", "images")
    said = subprocess.CompletedProcess[str]((), 1)

    def listed() -> bool:
        nonlocal said
        said = _run((*ctr, "ls", "-q"), env)
        return said.returncode == 0

    if not until(listed, seconds=RUNTIME_SECONDS):
        raise Unavailable(
            f"{spec.name}: containerd does not answer: {said.stderr.strip()}",
            hint=f"liqo lab logs {spec.name} containerd",
        )
    if COMMANDS.keys() <= set(said.stdout.split()):
        return
    busybox = tools / "bin/busybox"
    applets = _run((str(busybox), "--list"), env).stdout.split()
    archive = node_folder(spec) / "image.tar"
    archive.write_bytes(forge_images(busybox.read_bytes(), applets))
    done = _run((*ctr, "import", "--snapshotter", "native", str(archive)), env)
    archive.unlink()
    if done.returncode:
        raise Unavailable(f"{spec.name}: containerd takes no image: {done.stderr.strip()}")


def hierarchies() -> list[tuple[Path, str]]:
    """Return where each hierarchy of cgroups is mounted, and its type: "cgroup" or "cgroup2"."""
    lines = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return [(Path(fields[1]), fields[2]) for fields in lines if fields[2] in ("cgroup", "cgroup2")]


def make_cgroups(name: str) -> None:
    """Make a cgroup in every hierarchy; one that is there is left alone.

    Raises:
        Unavailable: the kernel does not let us.
    """
    found = hierarchies()
    for root, kind in found:
        own = root / name
        try:
            own.mkdir(exist_ok=True)
            if kind == "cgroup2" and len(found) == 1:
                _delegate(root)
                _delegate(own)
            for setting in ("cpuset.cpus", "cpuset.mems") if kind == "cgroup" else ():
                if (own / setting).exists():
                    (own / setting).write_text((root / setting).read_text())  # kubelet needs them filled
        except OSError as exc:
            raise Unavailable(
                f"no cgroup can be made in {root}: {exc.strerror}",
                hint="real nodes need root, not in a container",
            ) from exc


def remove_cgroups(folder: Path) -> None:
    """Remove all cgroups of a lab; their processes have to be gone.

    Raises:
        Unavailable: a process is in one still.
    """
    prefix = cgroup_prefix(folder)
    for root, _ in hierarchies():
        for own in root.glob(f"{prefix}*"):
            if not until(lambda own=own: _remove(own), seconds=CGROUP_SECONDS):  # type: ignore[misc]
                raise Unavailable(
                    f"{own} cannot be removed", hint="end what is in its cgroup.procs, then try again"
                )


def _delegate(group: Path) -> None:
    """Let groups below have every controller that this one has."""
    there = (group / "cgroup.controllers").read_text().split()
    (group / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in there))


def _remove(group: Path) -> bool:
    """Remove a cgroup with all below it; return False if a process is in one."""
    try:
        for path, _, _ in os.walk(group, topdown=False):
            Path(path).rmdir()
    except OSError:
        return not group.exists()
    return True


def _run(argv: Sequence[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=CTR_SECONDS,
    )
