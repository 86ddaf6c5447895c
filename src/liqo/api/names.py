"""Every name and label that more than one file spells."""

import hashlib

NAMESPACE = "liqo"  # the seed's default for Liqo's own namespace

CLUSTER_ID_CONFIG_MAP = "cluster-id"  # and its only key (seed, "Manual Insertion")
WELL_KNOWN_CONFIG_MAP = "liqo-well-known"
WELL_KNOWN_KEY = "document"
TRUSTED_CA_CONFIG_MAP = "trusted-ca-certificates"  # seed, "Trust Remote Clusters"
IDENTITY_SECRET = "cluster-identity"  # noqa: S105  a name
SERVING_SECRET = "liqo-serving"  # noqa: S105  a name
CONFIG_NAME = "clusterconfig"
SYSTEM_NAMESPACE = "kube-system"
CLIENT_CA_CONFIG_MAP = "extension-apiserver-authentication"  # in there: whom the API server believes

CONTROLLER = "liqo-controller"  # its ServiceAccount, Deployment, Lease
LAN_AGENT = "liqo-lan"  # its ServiceAccount, Deployment, field manager
DOOR = "liqo-door"  # the ServiceAccount as which strangers come in where anonymous access is off
DOOR_PORT = 16_443
KUBELET_APPROVER = "liqo-kubelet-approver"  # the ServiceAccount that approves our kubelet certificate
KUBELET_SIGNER = "kubernetes.io/kubelet-serving"
KUBELET_REQUEST_PREFIX = "liqo-kubelet-"  # of the names of our CertificateSigningRequests
KUBELET_SERVICE = "liqo-kubelet"
KUBELET_PORT = 10_250  # where an API server expects one
USAGE_PATH = "/metrics/resource"  # a kubelet's; the one of all virtual nodes is told the node's name after it
USAGE_PATH_ANNOTATION = "metrics.k8s.io/resource-metrics-path"  # on a node: where metrics-server asks
WEBHOOK_CONFIGURATION = "liqo"
INVITE_PREFIX = "invite-"  # of the ServiceAccount that is an invite, and of its RoleBinding
STRANGERS = "liqo-strangers"  # the rights, limits and priority of whoever has not proved himself

LABEL_MAX = 63  # a DNS label (RFC 1123), which the name of a namespace is

CLUSTER_ID_LABEL = "liqo.io/cluster-id"
MANAGED_LABEL = "app.kubernetes.io/managed-by"
TENANT_LABEL = "liqo.io/tenant"
NODE_TYPE_LABEL = "liqo.io/type"
VIRTUAL_NODE = "virtual-node"
NODE_PREFIX = "liqo-"  # of the names of virtual nodes
ENDING_ANNOTATION = (
    "liqo.io/ending-since"  # on a virtual node: it takes no pods, and those it has are deleted
)
STAYS_ANNOTATION = "liqo.io/stays-home"  # on a pod of an enabled namespace: why no virtual node can take it
NODE_LABELS = ("kubernetes.io/arch", "kubernetes.io/os", "topology.kubernetes.io/region")
FOREIGN_PREFIX = (
    "foreign.liqo.io/"  # of labels that a cluster's owner gives all nodes, for others to select by
)
"""Labels of nodes that mean the same on both clusters: offered, taken over by the virtual node, selectable abroad."""

NODE_TAINT = "virtual-node.liqo.io/not-allowed"
ENABLED_LABEL = "liqo.io/enabled"  # on a namespace at home, "true": its pods may run abroad
INVITE_LABEL = "liqo.io/invite"  # on a ServiceAccount: "true", it is an invite
INVITE_FOR_LABEL = "liqo.io/invite-for"  # the ClusterID that it is for
INVITE_EXPIRES_ANNOTATION = "liqo.io/invite-expires"  # when it is over
CLUSTERS_ANNOTATION = "liqo.io/clusters"  # on such a namespace: only on these, names or ids, with commas
AUTOJOINED_LABEL = "liqo.io/autojoined"  # on a ForeignCluster that discovery joined, and on its node: "true"
FOREIGN_CLUSTER_LABEL = "liqo.io/foreign-cluster"  # on a virtual node: the name of its ForeignCluster
HOME_NAMESPACE_LABEL = "liqo.io/home-namespace"  # on a namespace on foreign: which of home's it stands for
POD_CIDRS_ANNOTATION = "liqo.io/pod-cidrs"  # on such a namespace: home's pod networks, with commas
HOME_NAMESPACE_ANNOTATION = HOME_NAMESPACE_LABEL  # on a pod on foreign, as the next three
HOME_UID_ANNOTATION = "liqo.io/home-uid"  # the pod at home that it stands for
HOME_NODE_ANNOTATION = "liqo.io/home-node"  # the virtual node there
HOME_ACCOUNT_ANNOTATION = "liqo.io/home-service-account"  # its service account there
HOME_LABELS_ANNOTATION = "liqo.io/home-labels"  # the names of the labels that came from there, with commas
HOME_FORM_ANNOTATION = "liqo.io/home-form"  # a digest of what may change of it while it runs
HOME_ANNOTATIONS = frozenset(
    {
        HOME_NAMESPACE_ANNOTATION,
        HOME_UID_ANNOTATION,
        HOME_NODE_ANNOTATION,
        HOME_ACCOUNT_ANNOTATION,
        HOME_FORM_ANNOTATION,
    }
)
HELD_ANNOTATION = (
    "liqo.io/home-annotation-"  # and a hash of the name that one has at home, where a pod asks for it
)
PASSED_ANNOTATION = "^(liqo[.]io/home-[a-z0-9-]+|[A-Za-z0-9_-]+)$"
"""Names that annotations of a pod on foreign may have: ours, and those that nobody's prefix makes an instruction.

What steers networks, runtimes and other tools of a cluster has a prefix, of which there is no end.
"""
OUTGOING_FINALIZER = "liqo.io/outgoing"
INCOMING_FINALIZER = "liqo.io/incoming"

TENANT_SERVICE_ACCOUNT = "home"
TENANT_CLUSTER_ROLE = "liqo-tenant"
WORKLOAD_CLUSTER_ROLE = "liqo-tenant-workload"  # of a home cluster where its pods run


def peer_account(foreign_id: str) -> str:
    """Return the ServiceAccount, Role and RoleBinding at home of the foreign cluster with that id."""
    return f"peer-{foreign_id}"


def tenant_namespace(home_id: str) -> str:
    """Return the namespace on foreign that belongs to the home cluster with that id."""
    return f"liqo-tenant-{home_id}"


def tenant_role(home_id: str) -> str:
    """Return the Role on foreign, in Liqo's namespace, for the home cluster's own requests."""
    return f"home-{home_id}"


def remote_namespace(namespace: str, home_id: str) -> str:
    """Return the namespace on foreign that stands for one of home's: `x-<homeID>`, at most 63 characters.

    One that would be longer is cut, and told apart by a hash of the whole.
    """
    if len(name := f"{namespace}-{home_id}") <= LABEL_MAX:
        return name
    mark = f"-{short_hash(namespace)}-{home_id}"
    return namespace[: LABEL_MAX - len(mark)].rstrip("-") + mark


def node_name(cluster_name: str, cluster_id: str) -> str:
    """Return the name of the virtual node: the cluster's name cut to 20, and 6 characters of its id."""
    return f"{NODE_PREFIX}{cluster_name[:20].strip('-') or 'cluster'}-{cluster_id[:6]}"


def request_name(cluster_id: str, jti: str) -> str:
    """Return the name of a FederationRequest: it ends in the signed jti, so that a copy is a conflict."""
    return f"{cluster_id}-{jti}"


def short_hash(text: str) -> str:
    """Return 10 hex characters of a SHA-256, for names; no secret and no signature."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]
