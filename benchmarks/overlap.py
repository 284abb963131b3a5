"""Every Arm NN demo from stand-ins of the true sizes, at 1 Gbit/s in all: conversions overlap with transfers."""

from __future__ import annotations

import io
import sys
import tarfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import quote

import transfers
import vgg
from timing import MIB, ROOT, Cost, Row, side_by_side

if TYPE_CHECKING:
    from demo.families import Made

GIGABIT = 125e6
#: Stand-ins of smaller files stay as the demo makes them.
_WORTH = 20 * MIB


def demos(work: Path, rounds: int, *, full: bool = True) -> list[Row]:
    """Fetch and prepare all demos that have a stand-in, against curl with four connections for the same files."""
    # In a separate process, whose gigabytes the peaks of the programs would count.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        recipes, places = pool.submit(_stand_in, work, full=full).result()
    wire = sum((work / "www" / place).stat().st_size for place in places)
    name = f"{len(recipes)} Arm NN demos ({wire // MIB} MiB) at 1 Gbit/s, against the bare transfer of the same files"
    row = Row(name, 1.1, wire=wire)
    fetches = transfers.Fetches(work, *recipes)
    with transfers.server(work / "www", together=GIGABIT) as base:
        lines = [f'url = "{base}/{quote(place)}"\noutput = "{work}/peer/{n}"\n' for n, place in enumerate(places)]
        (work / "curl").write_text("".join(lines))
        curl = ("curl", "-sfZ", "--parallel-max", "4", "-K", str(work / "curl"))
        written = [0]

        def ours() -> Cost:
            cost = fetches.fetch("--mirror", base)
            files = (path for name in ("cache", "out") for path in (work / name).rglob("*"))
            written[0] = sum(path.lstat().st_size for path in files)
            return cost

        row.pairs = side_by_side(rounds, ours, lambda: fetches.peer(*curl))
    busy = ", ".join(f"{cost.cpu:.1f}" for cost, _ in row.pairs)
    row.note = f"the link alone takes {wire / GIGABIT:.1f} s; our processor seconds in each round: {busy}; we write "
    row.note += f"{written[0] // MIB} MiB and fsync them (files, results, trees), curl {wire // MIB} MiB without fsync"
    return [row]


def _stand_in(work: Path, *, full: bool) -> tuple[list[str], list[str]]:
    """Write the stand-in and its recipes; return the names of the recipes and the paths of the files they need."""
    sys.path.insert(0, str(ROOT))
    from demo.families import make_all
    from demo.layout import Found, addresses, write
    from demo.overlay import overlay
    from modelprep.fetch.urls import mirror_path
    from modelprep.recipe.catalogue import Catalogue, SharedAssets

    assets, made = SharedAssets([ROOT / "recipes" / "assets"]), make_all()
    catalogue = Catalogue([ROOT / "recipes"])
    recipes = [catalogue.recipe(name) for name in catalogue.names() if name.startswith("armnn-")]
    recipes = [
        recipe for recipe in recipes if recipe.status == "ready" and all(a.key in made for a in recipe.assets.values())
    ]
    needed = {asset.key: asset for recipe in recipes for asset in recipe.assets.values()}
    if full:
        made = {**made, **_vgg(work, made)}
        made = {name: _padded(each, assets[name].size or 0) for name, each in made.items()}
    files = addresses(assets, {name: each for name, each in made.items() if name in needed})
    write(work / "www", files)
    overlay(ROOT / "recipes", work / "recipes", Found(files, {name: each.data for name, each in made.items()}))
    places = dict.fromkeys(str(mirror_path(asset.sources[0].url)) for asset in needed.values())
    return [recipe.name for recipe in recipes], list(places)


def _vgg(work: Path, made: dict[str, Made]) -> dict[str, Made]:
    """Return a VGG-19 of its true structure, whose weights are converted in full."""
    path = work / "vgg19.caffemodel"
    vgg.write_weights(path)
    weights = replace(made["vgg19-caffemodel"], data=path.read_bytes())
    path.unlink()
    return {
        "vgg19-deploy": replace(made["vgg19-deploy"], data=vgg.prototxt().encode()),
        "vgg19-caffemodel": weights,
    }


def _padded(item: Made, size: int) -> Made:
    """Bring a file to its true size: an archive by one more file, a protocol buffer by an unknown field."""
    missing = size - len(item.data)
    if size < _WORTH or missing < _WORTH:
        return item
    from modelprep.formats.protowire import varint

    filling = Random(size).randbytes(missing)
    if item.data.startswith(b"\x1f\x8b"):
        from demo.containers import tar_gz

        with tarfile.open(fileobj=io.BytesIO(item.data)) as tar:
            members = {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]
        return replace(item, data=tar_gz({**members, "filling": filling}))
    return replace(item, data=item.data + varint(536870911 << 3 | 2) + varint(missing) + filling)
