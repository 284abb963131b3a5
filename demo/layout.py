"""Where the files of the stand-in lie: at the addresses that the recipes name, below ``<host>/<path>``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from demo import containers
from demo.families import Made

if TYPE_CHECKING:
    from modelprep.recipe.schema import Asset
    from modelprep.url import Url


def addresses(assets: Mapping[str, Asset], made: Mapping[str, Made]) -> dict[Url, bytes]:
    """Return what lies at each URL: the file itself, or an archive with every member that some asset needs of it.

    `assets`: the shared assets of the recipes, by id. `made`: the stand-in's files, by asset id. Raises ValueError: the
    stand-in makes a file for an asset that no recipe knows, or two assets want different files of one URL.
    """
    found: dict[Url, bytes] = {}
    packed: dict[Url, dict[str, bytes]] = {}
    for asset_id, item in made.items():
        if asset_id not in assets:
            raise ValueError(f"the stand-in makes '{asset_id}', which no recipe knows")
        for source in assets[asset_id].sources:
            if source.member:
                members = packed.setdefault(source.url, {})
                members[source.member] = item.data
                members.update(item.beside)
            elif found.setdefault(source.url, item.data) != item.data:
                raise ValueError(f"two files for {source.url}")
    for url, members in packed.items():
        # An archive may be an asset too, beside those that are its members; both must mean the same bytes.
        if found.setdefault(url, archive := pack(url, members)) != archive:
            raise ValueError(f"a file and another archive for {url}")
    return found


def pack(url: Url, members: Mapping[str, bytes]) -> bytes:
    """Make the archive that a URL's ending promises."""
    name = url.path.lower()
    if name.endswith(".zip"):
        return containers.zipped(members)
    if name.endswith((".tgz", ".tar.gz")):
        # TensorFlow's own archives write their members as ./name.
        return containers.tar_gz(members, prefix="./" if "tensorflow" in url.host + url.path else "")
    if name.endswith(".tar"):
        return containers.tar(members)
    if name.endswith(".tar.xz"):
        return containers.tar_xz(members)
    raise ValueError(f"unknown archive type: {url}")


def write(folder: Path, files: Mapping[Url, bytes]) -> list[Path]:
    """Write the files below `folder`, as a mirror is laid out; equal bytes become links to one file."""
    from modelprep.fetch.urls import mirror_path

    written: dict[Path, bytes] = {}
    by_content: dict[bytes, Path] = {}
    for url, data in files.items():
        place = mirror_path(url)
        if place is None:
            raise ValueError(f"no mirror holds {url}")
        path = folder / place
        if path in written:
            # http and https of one address are one place in a mirror.
            if written[path] != data:
                raise ValueError(f"two files for {place}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        key = hashlib.sha256(data).digest()
        if key in by_content:
            path.hardlink_to(by_content[key])
        else:
            path.write_bytes(data)
            by_content[key] = path
        written[path] = data
    return list(written)


@dataclass(frozen=True)
class Found:
    """What a mirror folder has of some assets: the bytes at each URL, and each asset's own bytes by its id."""

    files: Mapping[Url, bytes]
    contents: Mapping[str, bytes]


def read(folder: Path, assets: Mapping[str, Asset]) -> Found:
    """Read what a mirror folder has of some assets, out of archives where a source is one.

    Raises ValueError: two sources of one asset have different bytes.
    """
    from modelprep.fetch.urls import mirror_path

    files: dict[Url, bytes] = {}
    contents: dict[str, bytes] = {}
    for asset_id, asset in assets.items():
        for source in asset.sources:
            place = mirror_path(source.url)
            if source.url not in files and place is not None and (folder / place).is_file():
                files[source.url] = (folder / place).read_bytes()
            if source.url not in files:
                continue
            data = files[source.url]
            if source.member:
                try:
                    data = unpack(data, source.member)
                except KeyError:
                    # The archive was made for other assets, and has their members only.
                    continue
            if contents.setdefault(asset_id, data) != data:
                raise ValueError(f"the sources of '{asset_id}' in {folder} do not agree: {source.url} has other bytes")
    return Found(files, contents)


def unpack(archive: bytes, name: str) -> bytes:
    """Take a member out of an archive; `./name` counts as `name`. Raises KeyError: there is none of that name."""
    import io
    import tarfile
    import zipfile

    if archive.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            return zipped.read(name)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        entry = next((entry for entry in tar if entry.name.removeprefix("./") == name.removeprefix("./")), None)
        file = tar.extractfile(entry) if entry is not None else None
        if file is None:
            raise KeyError(f"there is no file {name} in the archive")
        return file.read()


def digest(algorithm: str, data: bytes) -> str:
    """Return a digest in hexadecimal; ``git`` is git's blob id."""
    if algorithm == "git":
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
