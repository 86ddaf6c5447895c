"""Runs the lab's name server and writes its zone."""

from liqo.lab import dns
from liqo.lab.plane import Runner
from liqo.lab.process import end, find
from liqo.lab.state import State, write_private


def start_name_server(runner: Runner, state: State) -> None:
    """Start the name server with the zone of these clusters; one that runs reads the zone by itself."""
    host, _ = dns.address(state.subnet, state.mode)
    if not runner.network.has_host(dns.HOST):
        end([r for r in find(state.folder) if r.cluster == dns.HOST], state.folder, term_seconds=0)
    runner.network.ensure_host(dns.HOST, 0, host)
    write_zone(state)
    folder = state.folder / dns.FOLDER
    server = dns.coredns(state.folder, state.subnet, state.mode)
    runner.start(dns.HOST, folder, server, folder / "logs" / "coredns.log")


def write_zone(state: State) -> None:
    """Write the zone: every cluster, and the records that were set."""
    folder = state.folder / dns.FOLDER
    records = folder / dns.RECORDS_FILE
    hosts = {spec.name: spec.host for spec in state.clusters.values()}
    hosts[dns.HOST] = dns.address(state.subnet, state.mode)[0]
    further = records.read_text() if records.exists() else ""
    write_private(folder / dns.ZONE_FILE, dns.forge_zone(hosts, state.serial, further))
