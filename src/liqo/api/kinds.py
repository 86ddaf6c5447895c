"""The kinds that we read or write, and where the API server serves them."""

from liqo.api.meta import Kind

SEARCH_DOMAIN = Kind("discovery.liqo.io", "v1", "SearchDomain", "searchdomains", namespaced=False)
FOREIGN_CLUSTER = Kind("discovery.liqo.io", "v1", "ForeignCluster", "foreignclusters", namespaced=False)
FEDERATION_REQUEST = Kind("discovery.liqo.io", "v1", "FederationRequest", "federationrequests")
CLUSTER_CONFIG = Kind("policy.liqo.io", "v1", "ClusterConfig", "clusterconfigs", namespaced=False)
ADVERTISEMENT = Kind("sharing.liqo.io", "v1alpha1", "Advertisement", "advertisements")
NAMESPACE_MAP = Kind("offloading.liqo.io", "v1alpha1", "NamespaceMap", "namespacemaps")

BINDING = Kind("", "v1", "Binding", "bindings")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
EVENT = Kind("", "v1", "Event", "events")
NAMESPACE = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
NODE = Kind("", "v1", "Node", "nodes", namespaced=False)
POD = Kind("", "v1", "Pod", "pods")
LIMIT_RANGE = Kind("", "v1", "LimitRange", "limitranges")
RESOURCE_QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas")
SECRET = Kind("", "v1", "Secret", "secrets")
SERVICE = Kind("", "v1", "Service", "services")
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts")

ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
SERVICE_CIDR = Kind("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", namespaced=False)
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
DAEMON_SET = Kind("apps", "v1", "DaemonSet", "daemonsets")
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
CUSTOM_RESOURCE_DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)

CERTIFICATE_REQUEST = Kind(
    "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", namespaced=False
)

POD_METRICS = Kind("metrics.k8s.io", "v1beta1", "PodMetrics", "pods")

_RBAC = "rbac.authorization.k8s.io"
ROLE = Kind(_RBAC, "v1", "Role", "roles")
ROLE_BINDING = Kind(_RBAC, "v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE = Kind(_RBAC, "v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(_RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False)

_ADMISSION = "admissionregistration.k8s.io"
ADMISSION_POLICY = Kind(
    _ADMISSION, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", namespaced=False
)
ADMISSION_POLICY_BINDING = Kind(
    _ADMISSION,
    "v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
VALIDATING_WEBHOOK = Kind(
    _ADMISSION, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=False
)
MUTATING_WEBHOOK = Kind(
    _ADMISSION, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False
)

_FLOW = "flowcontrol.apiserver.k8s.io"
FLOW_SCHEMA = Kind(_FLOW, "v1", "FlowSchema", "flowschemas", namespaced=False)
PRIORITY_LEVEL = Kind(
    _FLOW, "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations", namespaced=False
)

OURS = (
    SEARCH_DOMAIN,
    FOREIGN_CLUSTER,
    FEDERATION_REQUEST,
    CLUSTER_CONFIG,
    ADVERTISEMENT,
    NAMESPACE_MAP,
)
"""The kinds that Liqo brings."""
