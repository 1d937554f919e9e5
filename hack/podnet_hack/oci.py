"""Writes container images as OCI archives, with tarfile and nothing else.

Layers are plain tar files named by their digest, so that a layer that a node has need not be sent again.
"""

import dataclasses
import hashlib
import io
import json
import pathlib
import platform
import tarfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import BinaryIO

LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass(frozen=True)
class Blob:
    """Some bytes and their digest."""

    digest: str
    size: int
    data: bytes | pathlib.Path

    @property
    def name(self) -> str:
        """Its place in an archive."""
        return "blobs/" + self.digest.replace(":", "/")

    def described(self, media_type: str) -> dict[str, object]:
        """How a manifest refers to it."""
        return {"mediaType": media_type, "digest": self.digest, "size": self.size}


@dataclasses.dataclass(frozen=True)
class Image:
    """An image: what `ctr images import` needs to know of it."""

    reference: str
    layers: tuple[Blob, ...]
    config: Blob
    manifest: Blob

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Everything that an archive of it holds."""
        return (*self.layers, self.config, self.manifest)


def image(
    reference: str,
    layers: Sequence[Blob],
    *,
    entrypoint: Sequence[str] = (),
    command: Sequence[str] = (),
    env: Sequence[str] = (PATH,),
) -> Image:
    """An image of these layers."""
    config = _json_blob(
        {
            "architecture": architecture(),
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "Cmd": list(command), "Env": list(env)},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }
    )
    manifest = _json_blob(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.described(CONFIG),
            "layers": [layer.described(LAYER) for layer in layers],
        }
    )
    return Image(reference, tuple(layers), config, manifest)


def architecture() -> str:
    """This machine's, in Go's words."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def blob(path: pathlib.Path) -> Blob:
    """A layer that is kept as a tar file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Blob(f"sha256:{digest}", path.stat().st_size, path)


def layer_of_files(target: pathlib.Path, files: Mapping[str, pathlib.Path]) -> Blob:
    """A layer with these programs: path in the image -> file here."""
    with tarfile.open(target, "w") as tar:
        for name, path in sorted(files.items()):
            tar.add(path, name, filter=_plain)
    return blob(target)


def layer_of_tree(target: pathlib.Path, tree: pathlib.Path, prefix: str = "") -> Blob:
    """A layer with all that lies below a directory; the same content gives the same digest."""
    with tarfile.open(target, "w") as tar:
        for path in sorted(tree.rglob("*")):
            tar.add(path, prefix + str(path.relative_to(tree)), recursive=False, filter=_plain)
    return blob(target)


def write(file: BinaryIO, images: Iterable[Image], without: Collection[str] = ()) -> None:
    """Writes an archive of images, leaving out the blobs whose digests are in `without`."""
    written = set(without)
    with tarfile.open(fileobj=file, mode="w|") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for one in images:
            for part in one.blobs:
                if part.digest not in written:
                    written.add(part.digest)
                    _add(tar, part.name, part.data)
        _add(tar, "index.json", _index(images))


def _index(images: Iterable[Image]) -> bytes:
    entries = [
        one.manifest.described(MANIFEST) | {"annotations": {"io.containerd.image.name": one.reference}}
        for one in images
    ]
    return json.dumps({"schemaVersion": 2, "manifests": entries}).encode()


def _add(tar: tarfile.TarFile, name: str, data: bytes | pathlib.Path) -> None:
    info = tarfile.TarInfo(name)
    if isinstance(data, bytes):
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
        return
    info.size = data.stat().st_size
    with data.open("rb") as file:
        tar.addfile(info, file)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without what differs from one build to the next."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    return info


def _json_blob(value: object) -> Blob:
    data = json.dumps(value, sort_keys=True).encode()
    return Blob("sha256:" + hashlib.sha256(data).hexdigest(), len(data), data)
