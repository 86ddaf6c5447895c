"""The admission policies, as objects; what they refuse is tried on a real API server."""

import pytest

from liqo.api.kinds import ADMISSION_POLICY
from liqo.api.meta import Wire
from liqo.install.policies import forge_policies, policies

POLICIES = [obj for kind, obj in forge_policies("liqo") if kind is ADMISSION_POLICY]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p["metadata"]["name"])
def test_every_policy_fails_closed_and_says_why(policy: Wire) -> None:
    assert policy["spec"]["failurePolicy"] == "Fail"
    for validation in policy["spec"]["validations"]:
        assert validation["message"]


def test_every_policy_is_put_in_force() -> None:
    objects = forge_policies("liqo")
    bound = {obj["spec"]["policyName"] for kind, obj in objects if kind is not ADMISSION_POLICY}
    assert bound == {obj["metadata"]["name"] for obj in POLICIES}
    modes = [obj["spec"]["validationActions"] for kind, obj in objects if kind is not ADMISSION_POLICY]
    assert all(mode == ["Deny"] for mode in modes)


def test_policies_about_the_controller_name_its_namespace() -> None:
    fences = [p for p in policies("elsewhere") if p.name.startswith("liqo-controller-")]
    assert fences
    for policy in fences:
        assert policy.applies.endswith("== 'system:serviceaccount:elsewhere:liqo-controller'")


def test_a_peer_is_known_by_the_whole_of_its_prefix() -> None:
    (policy,) = (p for p in policies("liqo") if p.name == "liqo-peers")
    prefix = "system:serviceaccount:liqo:peer-"
    assert policy.applies == f"request.userInfo.username.startsWith('{prefix}')"
    assert f"substring({len(prefix)})" in policy.checks[-1].expression


def test_a_lacking_right_is_forbidden_and_a_bad_object_is_invalid() -> None:
    reasons = {p["metadata"]["name"]: {v["reason"] for v in p["spec"]["validations"]} for p in POLICIES}
    assert reasons["liqo-requests"] == {"Invalid"}
    assert reasons["liqo-controller-nodes"] == {"Forbidden"}
