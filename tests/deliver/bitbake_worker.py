"""A real BitBake, in a process of its own: parses a layer, fetches from a DL_DIR without a network, unpacks, installs.

    python bitbake_worker.py LAYER WORK DL_DIR RELEASE

prints a JSON object: recipe -> what BitBake makes of it. What OpenEmbedded-Core would give (classes, ``bitbake.conf``)
is reduced to the variables that these recipes use; parser, fetcher and data store are BitBake's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

# The wheel of BitBake's library comes without its hash server, which parsing and fetching do not use.
for name in ("hashserv", "hashserv.client"):
    sys.modules.setdefault(name, types.ModuleType(name))

CONF = """
PN = "${@bb.parse.vars_from_file(d.getVar('FILE', False),d)[0] or 'defaultpkgname'}"
PV = "${@bb.parse.vars_from_file(d.getVar('FILE', False),d)[1] or '1.0'}"
TMPDIR = "${TOPDIR}/tmp"
WORKDIR = "${TMPDIR}/${PN}"
%s
ROOT_HOME ??= "/home/root"
D = "${WORKDIR}/image"
FILESPATH = "${FILE_DIRNAME}/files"
FILE_DIRNAME = "${@os.path.dirname(d.getVar('FILE', False))}"
PERSISTENT_DIR = "${TMPDIR}/cache"
BB_NO_NETWORK = "1"
PATCHRESOLVE = "noop"
"""


def main(layer: Path, work: Path, downloads: Path, release: str) -> dict[str, Any]:
    """Parse every recipe of a layer, and put what it installs below ``work/tmp/<recipe>/image``."""
    import bb
    import bb.data
    import bb.fetch2
    import bb.parse
    import bb.siggen

    (work / "conf").mkdir(parents=True)
    (work / "classes").mkdir()
    # Releases from styhead on have an UNPACKDIR of their own; before, the layer's counts.
    own = 'UNPACKDIR ??= "${WORKDIR}/sources"' if release >= "styhead" else ""
    (work / "conf" / "bitbake.conf").write_text(CONF % own)
    (work / "classes" / "base.bbclass").write_text("")
    (work / "classes" / "allarch.bbclass").write_text("")
    base = bb.data.init()
    for name, value in {"TOPDIR": work, "BBPATH": work, "LAYERDIR": layer, "DL_DIR": downloads}.items():
        base.setVar(name, str(value))
    base.setVar("__bbclasstype", "recipe")
    base = bb.parse.handle(str(layer / "conf" / "layer.conf"), base, True)
    base.delVar("LAYERDIR")
    base = bb.parse.handle("conf/bitbake.conf", base, True)
    bb.parse.siggen = bb.siggen.init(base)
    compatible = (base.getVar("LAYERSERIES_COMPAT_modelprep") or "").split()
    found: dict[str, Any] = {"compatible": compatible, "recipes": {}}
    for path in sorted(layer.glob("recipes-*/*/*.bb")):
        parsed = bb.parse.handle(str(path), base.createCopy(), False)[""]
        found["recipes"][parsed.getVar("PN")] = one(bb, parsed)
    return found


def one(bb: Any, data: Any) -> dict[str, Any]:
    """Fetch, unpack and install one recipe."""
    bb.data.expandKeys(data)
    fetcher = bb.fetch2.Fetch(data.getVar("SRC_URI").split(), data)
    fetcher.download()
    unpacked = Path(data.getVar("UNPACKDIR"))
    unpacked.mkdir(parents=True)
    fetcher.unpack(str(unpacked))
    subprocess.run(["sh", "-eu", "-c", data.getVar("do_install")], check=True)
    image = Path(data.getVar("D"))
    pn = data.getVar("PN")
    override = "FILES:" + pn if data.getVar("FILES:" + pn) else "FILES_" + pn
    return {
        "licence": data.getVar("LICENSE"),
        "flags": data.getVar("LICENSE_FLAGS"),
        "packages": data.getVar(override),
        "needs": (data.getVar(override.replace("FILES", "RDEPENDS")) or "").split(),
        "installed": sorted("/" + p.relative_to(image).as_posix() for p in image.rglob("*") if p.is_file()),
        "image": str(image),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])))
