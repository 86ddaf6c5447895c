"""Credentials of our own cluster: a kubeconfig of this machine, or what a pod is given.

Never used for a kubeconfig that comes from outside: one may run programs and read files
(`identity.kubeconfig` reads those).

Plain kubeconfigs (CA, token, token file, client certificate) and a pod's mount are read here, with yaml and
ssl. Only a user with `exec` or `auth-provider` costs the official package, imported then and only then.
Measured, a process that imports nothing else: this module 0.16 s and 26 MiB, `kubernetes.config` 0.7 s and
49 MiB, `kubernetes.aio.config` 1.4 s and 61 MiB; and a start may take 2 s in all (design, "Budgets").
"""

import asyncio
import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from liqo.errors import Invalid, Unreachable

POD_MOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_PATH = Path("~/.kube/config")
UNSUPPORTED = {
    "as": "impersonation is not supported",
    "username": "passwords are not supported",
    "proxy-url": "proxies are not supported",
}
HINT = "liqo reads --kubeconfig, $KUBECONFIG, ~/.kube/config, or a pod's own credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How our own API server is reached.

    Args:
        server: its URL.
        ssl_context: whom we believe, with our client certificate if we have one; None for http://.
        token: returns the current bearer token.
        refresh: gets a newer token; returns whether there is one.
        server_hostname: the name in its certificate, if it is not the URL's.
        namespace: that the credentials prefer.
        ca_pem: the CA, "" where the system's roots are believed.
        in_cluster: whether these are a pod's own.
        reread: reads them again from where they came; None where a program makes them.
    """

    server: str
    ssl_context: ssl.SSLContext | None
    token: Callable[[], str] | None = None
    refresh: Callable[[], Awaitable[bool]] | None = None
    server_hostname: str | None = None
    namespace: str = "default"
    ca_pem: str = ""
    in_cluster: bool = False
    reread: "Callable[[], Access] | None" = None


class FileToken:
    """A token in a file that is replaced from time to time, as a pod's is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: tuple[int, int] | None = None
        self._token = ""

    def __call__(self) -> str:
        """Return the token; the file is read again when it was replaced.

        Raises:
            Unreachable: it cannot be read, and never could; an unreadable newer one leaves the old in use.
        """
        try:
            found = self._path.stat()
            mark = (found.st_mtime_ns, found.st_ino)
            if mark != self._mark:
                self._token = self._path.read_text().strip()
                self._mark = mark
        except OSError as exc:
            if not self._token:
                raise Unreachable(f"the token in {self._path} cannot be read") from exc
        return self._token


def load_access(
    path: Path | None = None, context: str | None = None, *, environ: Mapping[str, str] | None = None
) -> Access:
    """Return the access that a kubeconfig or this pod gives.

    Looks at `path`, at $KUBECONFIG (the first that exists of several), at ~/.kube/config, at the pod's mount.

    Raises:
        Invalid: there is none, or it cannot be used; the message says why and never shows a secret.
    """
    env = os.environ if environ is None else environ
    candidates = (
        [path] if path is not None else [Path(p) for p in env.get("KUBECONFIG", "").split(os.pathsep) if p]
    )
    for candidate in candidates or [DEFAULT_PATH]:
        found = candidate.expanduser()
        if found.exists():
            return read_kubeconfig(found, context)
    if candidates:
        raise Invalid(f"no kubeconfig at {', '.join(map(str, candidates))}", hint=HINT)
    return read_pod(POD_MOUNT, env)


def read_pod(mount: Path, environ: Mapping[str, str]) -> Access:
    """Return the access that a pod's mount and environment give.

    Raises:
        Invalid: this is no pod, or it has no ServiceAccount token.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (mount / "token").exists():
        raise Invalid("no kubeconfig, and this is not a pod with a ServiceAccount", hint=HINT)
    ca_pem = (mount / "ca.crt").read_text()
    namespace = mount / "namespace"
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ssl_context=make_context(ca_pem),
        token=FileToken(mount / "token"),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        ca_pem=ca_pem,
        in_cluster=True,
        reread=partial(read_pod, mount, environ),
    )


def read_kubeconfig(path: Path, context: str | None = None) -> Access:
    """Return the access that one context of a kubeconfig gives, the current one by default.

    Raises:
        Invalid: it cannot be read or used.
    """
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise Invalid(f"kubeconfig {path} cannot be read", hint=HINT) from exc
    if not isinstance(config, dict):
        raise Invalid(f"kubeconfig {path} is empty", hint=HINT)
    chosen = context or config.get("current-context")
    if not chosen:
        raise Invalid(f"kubeconfig {path} has no current context", hint="name one with --context")
    scope = _named(config, "contexts", "context", chosen, path)
    cluster = _named(config, "clusters", "cluster", scope.get("cluster"), path)
    user = _named(config, "users", "user", scope.get("user"), path) if scope.get("user") else {}
    for field, why in UNSUPPORTED.items():
        if user.get(field) or cluster.get(field):
            raise Invalid(f"kubeconfig {path}: {field}: {why}")
    if user.get("exec") or user.get("auth-provider"):
        plugin = _Plugin(path, chosen)
        return _access(path, cluster, scope, _Credentials(plugin.certificate, plugin.token, plugin.refresh))
    access = _access(path, cluster, scope, _Credentials(_certificate(user, path), _token(user, path)))
    return replace(access, reread=partial(read_kubeconfig, path, context))


class _Credentials(NamedTuple):
    """What a user shows."""

    certificate: tuple[str, str] | None  # and its key; PEM
    token: Callable[[], str] | None
    refresh: Callable[[], Awaitable[bool]] | None = None


def _access(
    path: Path, cluster: Mapping[str, Any], scope: Mapping[str, Any], credentials: _Credentials
) -> Access:
    server = str(cluster.get("server") or "")
    if urlsplit(server).scheme not in {"http", "https"}:
        raise Invalid(f"kubeconfig {path} names no server")
    ca_pem = _pem(cluster, "certificate-authority", path)
    ssl_context = None
    if server.startswith("https:"):
        ssl_context = make_context(ca_pem, credentials.certificate)
        if cluster.get("insecure-skip-tls-verify"):
            ssl_context.check_hostname, ssl_context.verify_mode = False, ssl.CERT_NONE
    return Access(
        server=server,
        ssl_context=ssl_context,
        token=credentials.token,
        refresh=credentials.refresh,
        server_hostname=cluster.get("tls-server-name"),
        namespace=scope.get("namespace") or "default",
        ca_pem=ca_pem,
    )


def make_context(ca_pem: str, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
    """Return a TLS context that believes this CA ("": the system's roots) and shows this certificate.

    Raises:
        Invalid: a PEM is none.
    """
    try:
        context = ssl.create_default_context(cadata=ca_pem or None)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # many a cluster's CA lacks what RFC 5280 asks for
        if certificate is not None:
            # ssl takes certificates from files only; the directory is ours alone and gone at once.
            with tempfile.TemporaryDirectory() as folder:
                files = Path(folder, "cert"), Path(folder, "key")
                for file, pem in zip(files, certificate, strict=True):
                    file.touch(mode=0o600)
                    file.write_text(pem)
                context.load_cert_chain(*files)
    except ssl.SSLError as exc:
        raise Invalid("a certificate or key in the kubeconfig is not PEM, or they do not fit") from exc
    return context


def _named(config: Mapping[str, Any], group: str, field: str, name: object, path: Path) -> dict[str, Any]:
    """Return the entry of that name."""
    for entry in config.get(group) or ():
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(field), dict):
            found: dict[str, Any] = entry[field]
            return found
    raise Invalid(f"kubeconfig {path} has no {field} {name!r}", hint=HINT)


def _pem(entry: Mapping[str, Any], field: str, path: Path) -> str:
    """Return a PEM that is in the kubeconfig or in a file beside it, "" if there is none."""
    try:
        if entry.get(f"{field}-data"):
            return base64.b64decode(entry[f"{field}-data"]).decode()
        if entry.get(field):
            return (path.parent / Path(entry[field]).expanduser()).read_text()
    except (OSError, ValueError, TypeError, binascii.Error) as exc:
        raise Invalid(f"kubeconfig {path}: {field} cannot be read") from exc
    return ""


def _certificate(user: Mapping[str, Any], path: Path) -> tuple[str, str] | None:
    certificate, key = _pem(user, "client-certificate", path), _pem(user, "client-key", path)
    return (certificate, key) if certificate and key else None


def _token(user: Mapping[str, Any], path: Path) -> Callable[[], str] | None:
    if user.get("token"):
        token = str(user["token"])
        return lambda: token
    if user.get("tokenFile"):
        return FileToken(path.parent / Path(user["tokenFile"]).expanduser())
    return None


class _Plugin:
    """A user whose credentials a program or a provider makes; the official package knows how."""

    def __init__(self, path: Path, context: str) -> None:
        self._path, self._context = path, context
        self._token, self.certificate = self._run()
        self.token = (lambda: self._token) if self._token else None

    async def refresh(self) -> bool:
        """Have a token made again; return whether it is another one.

        A certificate that changed is taken up by a restart only.
        """
        before = self._token
        try:
            self._token, _ = await asyncio.to_thread(self._run)
        except Invalid:
            return False
        return self._token != before

    def _run(self) -> tuple[str, tuple[str, str] | None]:
        from kubernetes.client.configuration import Configuration  # noqa: PLC0415  49 MiB, few need it
        from kubernetes.config import ConfigException, load_kube_config  # noqa: PLC0415

        found = Configuration()
        try:
            load_kube_config(  # type: ignore[no-untyped-call]
                str(self._path), context=self._context, client_configuration=found, persist_config=False
            )
        except ConfigException as exc:
            raise Invalid(f"kubeconfig {self._path}: its exec or auth-provider gave no credentials") from exc
        token = found.get_api_key_with_prefix("BearerToken", "authorization") or ""
        certificate = None
        if found.cert_file and found.key_file:
            certificate = Path(found.cert_file).read_text(), Path(found.key_file).read_text()
        if not token and certificate is None:  # the package only logs why
            raise Invalid(f"kubeconfig {self._path}: its exec or auth-provider gave no credentials")
        return str(token).removeprefix("Bearer "), certificate
