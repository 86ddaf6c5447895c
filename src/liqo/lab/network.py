"""The LAN of a lab: one network namespace a host, and one for the bridge between them.

No namespace has a name. Each is held by a sleeping process and entered by that process's pid, so it is gone
when the processes are, however they ended. As an ordinary user the first holder makes a user namespace too,
and all others live inside that one.
"""

import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from liqo.errors import Refused, Unavailable
from liqo.lab.process import Running, command_name, end, find, is_alive, launch, marks, small_env, tail
from liqo.lab.spec import Mode, mac
from liqo.lab.wait import until

TOOLS = ("ip", "tc", "nsenter", "unshare")
HOLDER = "holder"
LAN_HOST = "lan"
# Who may make no namespace is told so at once; a kernel that takes others down takes its time.
HOLD_SECONDS = 60.0
SLEEP = ("sleep", "infinity")

# A classic BPF program for tc: drop (2) a frame whose source address ends in these four bytes, else go on.
_DROP_FROM = "4,32 0 0 8,21 0 1 {source},6 0 0 2,6 0 0 4294967295"


class Network:
    """The namespaces of one lab; every method may be called again, and does only what is missing."""

    def __init__(self, folder: Path, mode: Mode) -> None:
        self.folder = folder
        self.mode = mode

    def ensure_lan(self) -> bool:
        """Make the bridge; return False if the kernel or the machine does not let us."""
        if self.has_lan():
            return True
        user = ("--user", "--map-root-user") if self.mode is Mode.USER else ()
        if not self._hold(LAN_HOST, ("unshare", *user, "--net", "--", *SLEEP)):
            return False
        try:
            self._ip(
                LAN_HOST,
                "link set lo up",
                "link add lan type bridge mcast_snooping 0 forward_delay 0",
                "link set lan up",
            )
        except Unavailable:
            end([r for r in find(self.folder) if r.cluster == LAN_HOST], self.folder, term_seconds=0)
            return False
        return True

    def has_lan(self) -> bool:
        """Say whether the bridge stands."""
        return self.mode is Mode.LOOPBACK or self._holder(LAN_HOST) is not None

    def has_host(self, name: str) -> bool:
        """Say whether a host's network is held; without that its programs may run, but nobody can join them."""
        return self.mode is Mode.LOOPBACK or self._holder(name) is not None

    def ensure_host(self, name: str, index: int, address: str) -> None:
        """Plug a host into the bridge.

        Raises:
            Unavailable: the kernel refuses.
        """
        if self.has_host(name):
            return
        inside = self._enter_user() if self.mode is Mode.USER else ()
        if not self._hold(name, (*inside, "unshare", "--net", "--", *SLEEP)):
            log = self._log(name)
            raise Unavailable(f"no network namespace for {name}", hint=tail(log, 1) or f"see {log}")
        pid = self._pid(name)
        # The kernel may not have got round to removing that of a host which was killed.
        self._run(LAN_HOST, ("ip", "link", "del", f"c{index}"))
        self._ip(
            LAN_HOST,
            f"link add c{index} type veth peer name eth0 address {mac(index)} netns {pid}",
            f"link set c{index} master lan",
            f"link set c{index} up",
        )
        self._ip(
            name,
            "link set lo up",
            f"addr add {address}/24 dev eth0",
            "link set eth0 up",
            "route add 224.0.0.0/4 dev eth0",  # multicast needs a route, and there is no default one
        )

    def route(self, name: str, ways: Mapping[str, str]) -> None:
        """Lead packets of a host on; `ways` are addresses of hosts, by the range that lies behind each."""
        self._ip(name, *(f"route replace {cidr} via {via}" for cidr, via in sorted(ways.items())))

    def enter(self, name: str) -> tuple[str, ...]:
        """Return what to put before a command so that it runs on that host.

        Raises:
            Unavailable: the host is not there.
        """
        if self.mode is Mode.LOOPBACK:
            return ()
        return self._enter(self._pid(name))

    def partition(self, index: int, other: int) -> None:
        """Drop every frame between two hosts, both ways, multicast and ARP too; connections stall.

        Raises:
            Refused: there is no LAN, or the kernel lacks the filter.
        """
        self._need_lan()
        for port, source in ((index, other), (other, index)):
            # It exists already when this host is in another partition.
            self._run(LAN_HOST, ("tc", "qdisc", "add", "dev", f"c{port}", "clsact"))
            code = _DROP_FROM.format(source=int(mac(source).replace(":", "")[4:], 16))
            where = ("dev", f"c{port}", "egress", "pref", str(source), "handle", "1", "protocol", "all")
            done = self._run(LAN_HOST, ("tc", "filter", "replace", *where, "bpf", "da", "bytecode", code))
            if done.returncode:
                raise Refused(
                    f"the kernel cannot filter frames: {done.stderr.strip().splitlines()[-1]}",
                    hint="it needs NET_CLS_BPF and NET_SCH_INGRESS; or stop a cluster instead: liqo lab stop",
                )

    def heal(self, index: int, other: int) -> None:
        """End a partition; without one nothing happens.

        Raises:
            Refused: there is no LAN.
        """
        self._need_lan()
        for port, source in ((index, other), (other, index)):
            self._run(LAN_HOST, ("tc", "filter", "del", "dev", f"c{port}", "egress", "pref", str(source)))

    def _need_lan(self) -> None:
        if self.mode is Mode.LOOPBACK:
            raise Refused(
                "this lab has no LAN that could be cut: its clusters have loopback addresses",
                hint="run the lab as root, or where ordinary users may make namespaces, with iproute2 installed",
            )

    def _hold(self, host: str, argv: Sequence[str]) -> bool:
        """Start a holder and wait until its namespace is there."""
        env = {**small_env(self.folder), **marks(self.folder, host, HOLDER)}
        pid = launch(argv, env=env, cwd=self.folder, log=self._log(host))
        holder = Running(pid, host, HOLDER)

        def settled() -> bool:
            return command_name(pid) == SLEEP[0] or not is_alive(holder, self.folder)

        return until(settled, seconds=HOLD_SECONDS) and is_alive(holder, self.folder)

    def _holder(self, host: str) -> int | None:
        holders = (r.pid for r in find(self.folder) if r.cluster == host and r.part == HOLDER)
        return next(holders, None)

    def _pid(self, host: str) -> int:
        pid = self._holder(host)
        if pid is None:
            raise Unavailable(f"{host} is not running", hint="liqo lab up")
        return pid

    def _enter(self, pid: int) -> tuple[str, ...]:
        if self.mode is Mode.USER:
            return ("nsenter", "--target", str(pid), "--user", "--net", "--preserve-credentials", "--")
        return ("nsenter", f"--net=/proc/{pid}/ns/net", "--")

    def _enter_user(self) -> tuple[str, ...]:
        return ("nsenter", "--target", str(self._pid(LAN_HOST)), "--user", "--preserve-credentials", "--")

    def _ip(self, host: str, *commands: str) -> None:
        done = self._run(host, ("ip", "-batch", "-"), "\n".join(commands) + "\n")
        if done.returncode:
            raise Unavailable(
                f"the network of {host} cannot be made: {done.stderr.strip()}",
                hint="liqo lab down, then liqo lab up --loopback does without a network",
            )

    def _run(
        self, host: str, command: Sequence[str], text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        argv = [*self._enter(self._pid(host)), *command]
        stdin = None if text is not None else subprocess.DEVNULL
        return subprocess.run(argv, input=text, stdin=stdin, capture_output=True, text=True, check=False)

    def _log(self, host: str) -> Path:
        return self.folder / "network" / f"{host}.log"


def missing_tools() -> list[str]:
    """Return which programs a LAN needs and this machine lacks."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def free_subnet(seed: int, port: int) -> str:
    """Return the first three octets of loopback addresses that no other lab uses.

    Args:
        seed: where to begin looking, so that a lab mostly gets the same again.
        port: of the first cluster's API server.

    Raises:
        Unavailable: all are in use.
    """
    for offset in range(256):
        subnet = f"127.77.{(seed + offset) % 256}"
        with socket.socket() as probe:
            try:
                probe.bind((f"{subnet}.11", port))
            except OSError:
                continue
            return subnet
    raise Unavailable("256 labs run on this machine already", hint="liqo lab down in some of them")
