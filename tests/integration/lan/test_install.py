"""`liqo install` with and without the LAN agent, on a real API server."""

import sys
from pathlib import Path

import pytest

from liqo.lab.lab import Lab
from liqo.lab.pytest_plugin import LabFactory

pytestmark = pytest.mark.lab

OUTSIDE = (sys.executable, "-m", "liqo", "install")
INSTALL = (*OUTSIDE, "--image", "registry.example/liqo:1")
OURS = ("serviceaccounts,roles,rolebindings,deployments", "-A", "-l", "app.kubernetes.io/part-of=liqo")
WIDE = ("clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/part-of=liqo")


def of_the_agent(lab: Lab) -> set[str]:
    """Return what of the agent is installed."""
    found = [lab.kubectl("rome", "get", *what, "-o", "name").splitlines() for what in (OURS, WIDE)]
    return {name for names in found for name in names if "liqo-lan" in name}


def test_no_lan_brings_no_agent_and_takes_out_one_that_is_there(lab: LabFactory) -> None:
    made = lab("rome", nodes=0)
    told = made.exec("rome", (*INSTALL, "--no-lan")).stdout
    assert "LAN agent is left out" in told
    assert of_the_agent(made) == set()

    told = made.exec("rome", INSTALL).stdout
    assert "--no-lan leaves it out" in told
    assert len(of_the_agent(made)) == 8

    made.exec("rome", (*INSTALL, "--no-lan"))
    assert of_the_agent(made) == set()


def test_outside_the_cluster_the_agent_has_a_kubeconfig_of_its_own(lab: LabFactory, tmp_path: Path) -> None:
    made = lab("rome", nodes=0)
    controller, agent = tmp_path / "controller.kubeconfig", tmp_path / "agent.kubeconfig"
    command = (
        *OUTSIDE,
        "--webhook-url=https://127.0.0.1:9443",
        f"--controller-kubeconfig={controller}",
        f"--lan-kubeconfig={agent}",
    )
    told = made.exec("rome", (*command, "--no-lan")).stdout
    assert "liqo lan" not in told
    assert not agent.exists()

    told = made.exec("rome", command).stdout
    assert f"liqo lan --kubeconfig {agent}" in told
    assert agent.stat().st_mode & 0o777 == 0o600
    who = made.exec("rome", ("kubectl", f"--kubeconfig={agent}", "auth", "whoami", "-o", "json"))
    assert "system:serviceaccount:liqo:liqo-lan" in who.stdout
