"""What `liqo install` says of the entry for strangers, on API servers that take anonymous requests and that do not."""

import sys
from pathlib import Path

import pytest

from liqo.lab.pytest_plugin import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.seconds(300)]

SAID = {
    (True, True): ["Others ask at https://", "this API server takes anonymous requests"],
    (True, False): ["Others ask at https://", "this API server takes anonymous requests"],
    (False, True): ["takes no anonymous requests: others ask at the controller's door, port 16443"],
    (False, False): [
        "takes no anonymous requests, and there is to be no door",
        "    - path: /apis/discovery.liqo.io/v1/namespaces/liqo/federationrequests\n",
        "  - authentication-config=/etc/rancher/k3s/liqo-strangers.yaml\n",
        "      value: /etc/kubernetes/pki/liqo-strangers.yaml\n",
        "liqo controller --kubeconfig controller --no-door",
    ],
}


@pytest.mark.parametrize("anonymous", [True, False], ids=["open", "closed"])
def test_install_says_where_others_ask(lab: LabFactory, tmp_path: Path, *, anonymous: bool) -> None:
    made = lab("rome", nodes=0, anonymous=anonymous)
    for door in (True, False):
        command = [
            sys.executable,
            "-m",
            "liqo",
            "install",
            "--webhook-url=https://127.0.0.1:9443",
            "--no-lan",
        ]
        kept = f"--controller-kubeconfig={tmp_path / 'controller'}"
        told = made.exec("rome", [*command, kept, *([] if door else ["--no-door"])])
        assert told.returncode == 0, told.stderr
        said = told.stdout.replace(f"{tmp_path}/", "")
        assert [line for line in SAID[anonymous, door] if line not in said] == []
        assert ("AuthenticationConfiguration" in said) is (not anonymous and not door)
