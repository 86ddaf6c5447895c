"""The images of a lab, made from busybox: no registry is asked for anything; pure.

The format is what `docker save` writes: a tar of manifest.json, a configuration for each image, and layers.
Ours share one layer.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

IMAGE = "liqo.lab/busybox:1"  # not ":latest", so that by default nobody tries to pull it
PAUSE = "liqo.lab/pause:1"  # holds the namespaces of a pod
WEB_PORT = 8080  # any user may listen there
FOLDERS: Mapping[str, int] = {"bin": 0o755, "etc": 0o755, "root": 0o700, "tmp": 0o1777, "var": 0o755}
USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n"
GROUPS = "root:x:0:\nnobody:x:65534:\n"
# Answers every request with the name of its pod, logs each, and ends at once when asked to.
SERVE = (
    f"trap 'kill $!; exit 0' TERM; hostname >/tmp/index.html; echo \"$(hostname) serves on {WEB_PORT}\"; "
    f"httpd -f -v -p {WEB_PORT} -h /tmp & wait"
)
COMMANDS: Mapping[str, Sequence[str]] = {IMAGE: ("/bin/sh", "-c", SERVE), PAUSE: ("/bin/sleep", "infinity")}


def forge_images(busybox: bytes, applets: Iterable[str]) -> bytes:
    """Return all images as an archive that `ctr images import` takes; equal input gives equal bytes.

    Args:
        busybox: the program, linked statically.
        applets: its names, as `busybox --list` prints them.
    """
    layer = _layer(busybox, applets)
    digest = hashlib.sha256(layer).hexdigest()
    layer_name = f"{digest}/layer.tar"
    parts, manifest = {layer_name: layer}, []
    for image, command in COMMANDS.items():
        config = _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Env": ["PATH=/bin"], "Cmd": list(command), "WorkingDir": "/"},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            }
        )
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        parts[name] = config
        manifest.append({"Config": name, "RepoTags": [image], "Layers": [layer_name]})
    parts["manifest.json"] = _json(manifest)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in parts.items():
            _add(tar, name, content, 0o644)
    return archive.getvalue()


def _layer(busybox: bytes, applets: Iterable[str]) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name, mode in FOLDERS.items():
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            tar.addfile(folder)
        _add(tar, "etc/passwd", USERS.encode(), 0o644)
        _add(tar, "etc/group", GROUPS.encode(), 0o644)
        _add(tar, "bin/busybox", busybox, 0o755)
        for applet in sorted(set(applets) - {"busybox"}):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return layer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)  # its time is 0
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()
