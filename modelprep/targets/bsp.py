"""Board support packages: which runtime versions an i.MX Linux release has, and where its demos lie on the board.

The facts are ``imx_bsps.yaml`` beside this module; each release names the Yocto layers it was read from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from modelprep.errors import UsageError, nearest
from modelprep.structs import dataclass, replace
from modelprep.targets.facts import read_facts

#: The release that the manual UM11226 describes.
DEFAULT = "L4.14.98-2.0.0"
#: SoCs with an NPU that a compiler of their own serves, and the suffix of the files that it makes.
SOCS = ("imx8mp", "imx93", "imx95")
#: Families of demos: where each lies on the board is a fact of the release.
FAMILIES = ("armnn", "tflite", "onnxruntime", "opencv", "tensorflow", "eiq_examples")


@dataclass(frozen=True)
class Component:
    """One runtime of a release; what the layers do not state is empty.

    `version`: ``2.16.2``. `folder`: of its demo programs on the board. `parsers`, `commit`: of Arm NN: the parsers
    built in by default, and the commit that the release builds.
    """

    version: str = ""
    folder: str = ""
    parsers: tuple[str, ...] = ()
    commit: str = ""


@dataclass(frozen=True)
class Bsp:
    """One release.

    `name`: ``L6.6.36-2.1.0``. `source`: repository, ref and commit of the layers that the facts were read from.
    `components`: family (:data:`FAMILIES`) -> component; a family that is not here is not in the release. `vela`,
    `neutron`: version of the NPU compilers for i.MX 93 and i.MX 95; empty if there is none. `delegates`: TensorFlow
    Lite delegates of the release. `on_image`: files of the full image, as paths on the board; one may end in a pattern
    (``*.jpg``). `yocto`: name of its Yocto release; empty if the sources do not state it.
    """

    name: str
    source: str
    components: Mapping[str, Component]
    vela: str = ""
    neutron: str = ""
    delegates: tuple[str, ...] = ()
    on_image: tuple[str, ...] = ()
    yocto: str = ""

    @property
    def armnn(self) -> Component | None:
        """Arm NN, or None for a release that has none."""
        return self.components.get("armnn")

    def relocate(self, path: str) -> str:
        """Return where a path of the default release lies on this one.

        `path`: a folder or file on the board of :data:`DEFAULT`. One that is in no family's folder stays as it is.
        """
        for family, component in load(DEFAULT).components.items():
            ours = self.components.get(family)
            inside = path == component.folder or path.startswith(f"{component.folder}/")
            # Arm NN's programs are in /usr/bin there, as do other families' folders: only the folder itself is theirs.
            if component.folder and inside and (family != "armnn" or path == component.folder):
                return ours.folder + path[len(component.folder) :] if ours is not None and ours.folder else path
        return path

    def to_json(self) -> dict[str, object]:
        """Return the facts as JSON-ready values."""
        components = {
            family: {"version": each.version, "folder": each.folder, "parsers": list(each.parsers)}
            for family, each in self.components.items()
        }
        return {
            "bsp": self.name, "source": self.source, "yocto": self.yocto, "components": components, "vela": self.vela,
            "neutron": self.neutron, "delegates": list(self.delegates), "on_image": list(self.on_image),
        }  # fmt: skip


@cache
def _facts() -> Mapping[str, Bsp]:
    read = read_facts("imx_bsps.yaml")
    found = {entry["name"]: _release(entry) for entry in read["releases"]}
    for patch in read["patch_releases"]:
        found[patch["name"]] = replace(found[patch["same_as"]], name=patch["name"], source=patch["source"])
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def _release(entry: Mapping[str, Any]) -> Bsp:
    components = {
        family: Component(**{**fact, "parsers": tuple(fact.get("parsers", ()))})
        for family in FAMILIES
        if (fact := entry.get(family)) is not None
    }
    rest = {key: entry[key] for key in ("name", "source", "vela", "neutron", "yocto") if key in entry}
    on_image = tuple(each["path"] for each in entry.get("on_image", ()))
    return Bsp(components=components, delegates=tuple(entry["delegates"]), on_image=on_image, **rest)


def _order(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.removeprefix("L").replace("-", ".").split("."))


def names() -> list[str]:
    """List the releases, oldest first."""
    return list(_facts())


def load(name: str) -> Bsp:
    """Return the facts of one release.

    `name`: ``L6.6.36-2.1.0``; the L may be left out, and NXP's other spellings serve (``lf-6.6.36_2.1.0``). Raises
    UsageError: the release is not known.
    """
    known = _facts()
    plain = "L" + re.sub(r"^l?f?[-_]?v?(?=\d)", "", name.lower()).replace("_", "-")
    if plain in known:
        return known[plain]
    raise UsageError(
        f"there is no BSP release '{name}' in the facts", expected="a release that `modelprep bsp list` shows",
        hint=nearest(plain, list(known)) or "modelprep bsp list",
    )  # fmt: skip


def check_soc(soc: str) -> str:
    """Return the SoC if it is known; raises UsageError if it is not."""
    if soc in SOCS:
        return soc
    known = f"one of {', '.join(SOCS)}"
    raise UsageError(f"the SoC '{soc}' is not known", expected=known, hint=nearest(soc, SOCS) or None)
