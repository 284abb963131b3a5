"""``modelprep export yocto``: a layer whose recipes put finished demos into an image.

One BitBake recipe per demo, one for the files that several demos share, one with ``run-tests.sh`` that depends on all.
A file that is installed unchanged comes from its URL; a converted one from a bundle made here, in the layer or at the
user's bundle URL. Every checksum is of a file in the finished tree.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from modelprep.deliver.bundle import licence_lines, plan_bundle, write_bundle
from modelprep.deliver.spdx import KNOWN_IDS
from modelprep.errors import RecipeError, UsageError, nearest
from modelprep.events import Listener, silent
from modelprep.quoting import Unquotable, bitbake, bitbake_item, bitbake_path, bitbake_prose, bitbake_sh
from modelprep.recipe.text import url_fault
from modelprep.store.disk import write_atomic
from modelprep.tree.manifest import MANIFEST, SUMS, InstalledFile, Manifest
from modelprep.tree.selection import TreePart, run_tests
from modelprep.url import redact
from modelprep.version import __version__

LICENCES = "LICENCES.txt"
#: Yocto releases whose overrides are written with an underscore; all later ones use the colon.
OLD_RELEASES = ("sumo", "thud", "warrior", "zeus", "dunfell", "gatesgarth", "hardknott")
NEW_RELEASES = (
    "honister", "kirkstone", "langdale", "mickledore", "nanbield", "scarthgap", "styhead", "walnascar", "whinlatter",
    "wrynose",
)  # fmt: skip
_SERIES = re.compile(r"[a-z][a-z0-9-]*")
#: FILES is a list of patterns, in which a question mark matches a blank of the folder's name.
_FILES = "\"${@d.getVar('MODELPREP_DIR').replace(' ', '?')}\""


@dataclass(frozen=True)
class Unit:
    """One BitBake recipe to write.

    `name`: its ``PN``. `part`: the tree, reduced to what this recipe installs. `direct`: path in the tree -> (URL, name
    in DL_DIR) of files that are installed unchanged. `needs`: recipes whose packages it needs at run time.
    """

    name: str
    part: TreePart
    summary: str
    direct: dict[str, tuple[str, str]]
    needs: tuple[str, ...] = ()

    @property
    def bundled(self) -> tuple[InstalledFile, ...]:
        """The files from its bundle."""
        return tuple(file for path, file in self.part.files.items() if path not in self.direct)


@dataclass(frozen=True)
class Exported:
    """A layer that was written: its recipes' names, bundles to host at the bundle URL, demos left out and why."""

    folder: Path
    recipes: tuple[str, ...]
    bundles: tuple[Path, ...]
    left_out: dict[str, str]


def package_name(text: str) -> str:
    """Turn a demo's name into a BitBake ``PN``: lower-case letters, digits, dots and dashes."""
    return "modelprep-" + re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def plan_units(
    parts: Sequence[TreePart], downloads: Callable[[InstalledFile], tuple[str, str] | None]
) -> tuple[tuple[Unit, ...], dict[str, str]]:
    """Decide which recipes to write.

    `parts`: from :func:`modelprep.tree.selection.select`. `downloads`: returns URL and name in DL_DIR of a file that is
    installed unchanged, or None. Raises UsageError: two demos would become one recipe, or two trees one folder. Returns
    the recipes, and the demos that are left out with the reason: one of their files was converted from a restricted
    file.
    """
    units: list[Unit] = []
    left_out: dict[str, str] = {}
    _refuse_clashes(parts)
    for part in parts:
        for file in part.left_out:
            for user in file.demos:
                left_out[user] = f"{file.path} is made from restricted files, which must not go into a bundle"
        demos = {name: demo for name, demo in part.manifest.demos.items() if name not in left_out}
        files = {}
        for path, file in part.files.items():
            if users := tuple(name for name in file.demos if name in demos):
                files[path] = replace(file, demos=users)
        shared = {path: file for path, file in files.items() if len(file.demos) > 1}
        common = package_name(f"{part.name}-common")
        if shared:
            units.append(_unit(common, part, shared, f"Files that several demos of {part.name} share", downloads))
        for name, demo in sorted(demos.items()):
            own = {path: file for path, file in files.items() if file.demos == (name,)}
            needs = (common,) if any(name in file.demos for file in shared.values()) else ()
            made = _unit(package_name(name), part, own, demo.summary or demo.demo, downloads)
            units.append(replace(made, needs=needs))
    names = [unit.name for unit in units]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UsageError(
            "two demos would become one BitBake recipe", got=", ".join(twice), hint="export them separately"
        )
    return tuple(units), left_out


def _check(path: str) -> None:
    """Refuse a file name that a BitBake recipe cannot contain. Raises RecipeError: it is one."""
    try:
        bitbake_sh(path)
    except Unquotable as error:
        raise RecipeError(
            "the name of a file cannot be written into a BitBake recipe", got=str(error), hint="change 'install:'"
        ) from None


def _refuse_clashes(parts: Sequence[TreePart]) -> None:
    """Refuse two trees for one folder of the image: they would overwrite each other's lists."""
    places: dict[str, TreePart] = {}
    for part in parts:
        other = places.setdefault(part.board.rstrip("/") or part.name, part)
        if other is not part:
            raise UsageError(
                "two trees would be installed into one folder of the image",
                where=part.board or part.name,
                got=f"{other.name} and {part.name}",
                hint="export them separately, with another MODELPREP_DIR for one of them",
            )


def _unit(
    name: str,
    part: TreePart,
    files: dict[str, InstalledFile],
    summary: str,
    downloads: Callable[[InstalledFile], tuple[str, str] | None],
) -> Unit:
    for path in files:
        _check(path)
    found = {path: place for path, file in files.items() if (place := downloads(file)) is not None}
    return Unit(name, replace(part, manifest=Manifest(part.name, {}, files), left_out=()), summary, found)


def write_layer(
    folder: Path,
    parts: Sequence[TreePart],
    units: Sequence[Unit],
    left_out: dict[str, str],
    *,
    bundle_url: str = "",
    release: str = "scarthgap",
    layer_series: Sequence[str] = (),
    listen: Listener = silent,
) -> Exported:
    """Write the layer.

    `bundle_url`: URL of the bundles; without one they are part of the layer. `release`: the Yocto release that it is
    for. `layer_series`: newer releases that the layer is compatible with (``LAYERSERIES_COMPAT``). `listen`: receives
    the events of each bundle. Raises UsageError: the release is unknown, or the bundle URL cannot be written into a
    recipe; StorageError, DigestMismatch: as :func:`modelprep.deliver.bundle.write_bundle`.
    """
    if release not in OLD_RELEASES + NEW_RELEASES:
        raise UsageError(
            f"unknown Yocto release '{release}'",
            expected=", ".join(OLD_RELEASES + NEW_RELEASES),
            hint=f"for a newer one: --layer-series {release}"
            if _SERIES.fullmatch(release)
            else nearest(release.lower(), OLD_RELEASES + NEW_RELEASES) or None,
        )
    for name in layer_series:
        if not _SERIES.fullmatch(name):
            raise UsageError("not a name of a Yocto release", got=name, expected="lower-case letters and digits")
    if layer_series and release in OLD_RELEASES:
        raise UsageError(
            f"recipes for {release} use a syntax that newer releases do not read",
            got=f"--layer-series {' '.join(layer_series)}",
            hint="write a separate layer for the newer release: leave out --release",
        )
    if (bundle_url and url_fault(bundle_url)) or ";" in bundle_url:
        raise UsageError("not a URL for a BitBake recipe", got=redact(bundle_url), expected="https://HOST/FOLDER")
    mark = "_" if release in OLD_RELEASES else ":"
    family = OLD_RELEASES if release in OLD_RELEASES else tuple(dict.fromkeys((*NEW_RELEASES, *layer_series)))
    write_atomic(folder / "conf" / "layer.conf", _layer(family).encode())
    bundles: list[Path] = []
    for unit in units:
        home = folder / "recipes-models" / unit.name
        bundle: tuple[str, str] | None = None
        if unit.bundled:
            # The checksum goes into the recipe, so the bytes must be the same each time.
            archive = (folder / "bundles" if bundle_url else home / "files") / f"{unit.name}.tar.gz"
            files = {file.path: file for file in unit.bundled}
            part = replace(unit.part, manifest=Manifest(unit.part.name, {}, files))
            made = write_bundle(plan_bundle([part]), archive, listen)
            place = f"{bundle_url.rstrip('/')}/{archive.name}" if bundle_url else f"file://{archive.name}"
            bundle = (place, made.sha256)
            if bundle_url:
                bundles.append(archive)
        licences = _licences(unit)
        write_atomic(home / "files" / LICENCES, licences.encode())
        write_atomic(home / f"{unit.name}_{__version__}.bb", _recipe(unit, bundle, licences, mark).encode())
    names = [unit.name for unit in units]
    names += [_write_tests(folder, part, kept, mark) for part in parts if (kept := _kept(part, left_out)).demos]
    return Exported(folder, tuple(names), tuple(bundles), dict(left_out))


def _kept(part: TreePart, left_out: dict[str, str]) -> Manifest:
    demos = {name: demo for name, demo in part.manifest.demos.items() if name not in left_out}
    files = {}
    for path, file in part.files.items():
        if users := tuple(name for name in file.demos if name in demos):
            files[path] = replace(file, demos=users)
    return Manifest(part.name, demos, files)


def _write_tests(folder: Path, part: TreePart, manifest: Manifest, mark: str) -> str:
    name = package_name(f"{part.name}-tests")
    home = folder / "recipes-models" / name
    texts = {
        "run-tests.sh": run_tests(manifest, unfit=lambda _: None),
        SUMS: manifest.sums(),
        MANIFEST: manifest.text(),
    }
    licences = "run-tests.sh and its lists were written by modelprep: Apache-2.0.\n"
    for file, text in {**texts, LICENCES: licences}.items():
        write_atomic(home / "files" / file, text.encode())
    needs = [package_name(recipe) for recipe in sorted(manifest.demos)]
    lines = _head(f"run-tests.sh for {part.name}, and all its exported demos", part.board, part.name)
    lines += ['LICENSE = "Apache-2.0"', _licence_sum(licences), ""]
    lines += _assign("SRC_URI", [f"file://{file}" for file in (LICENCES, *texts)])
    lines += _body([(file, file, "0755" if file.endswith(".sh") else "0644") for file in texts], mark)
    lines += _assign(f"RDEPENDS{mark}${{PN}}", needs)
    write_atomic(home / f"{name}_{__version__}.bb", ("\n".join(lines) + "\n").encode())
    return name


def _head(summary: str, board: str, tree: str) -> list[str]:
    try:
        # BitBake expands the home; the rest of the value is data.
        place = bitbake_path(board.rstrip("/")) if board else bitbake_path(tree).replace('"', '"${ROOT_HOME}/', 1)
    except Unquotable as error:
        raise RecipeError(
            "this folder cannot be named in a BitBake recipe", where=board or tree, got=str(error),
            hint="change 'board:' or 'tree:' of the recipe",
        ) from None  # fmt: skip
    return [
        f"SUMMARY = {bitbake_prose(summary)}",
        'SECTION = "models"',
        f"MODELPREP_DIR ?= {place}",
        "",
        "inherit allarch",
        "",
        'INHIBIT_DEFAULT_DEPS = "1"',
        'S = "${UNPACKDIR}"',
    ]


def _recipe(unit: Unit, bundle: tuple[str, str] | None, licences: str, mark: str) -> str:
    lines = _head(unit.summary, unit.part.board, unit.part.name)
    assets = {a.name: a for file in unit.part.files.values() for a in file.provenance.assets}
    names = sorted({asset.licence for asset in assets.values()})
    if all(name in KNOWN_IDS for name in names) and names:
        lines += [f"LICENSE = {bitbake(' & '.join(names))}", _licence_sum(licences)]
    else:
        lines += [
            f"# Not all of these have a licence that Yocto knows by name: see files/{LICENCES}.",
            'LICENSE = "CLOSED"',
        ]
    if any(asset.restricted for asset in assets.values()):
        lines += [
            "# Some of these files must not be redistributed: for your own builds only.",
            'LICENSE_FLAGS = "modelprep-restricted"',
        ]
    uris, sums = [f"file://{LICENCES}"], []
    moves: list[tuple[str, str, str]] = []
    for number, (path, file) in enumerate(sorted(unit.part.files.items()), 1):
        if path in unit.direct:
            url, local = unit.direct[path]
            if local not in {source for source, _, _ in moves}:
                uris.append(f"{url};unpack=0;name=file{number};downloadfilename={local}")
                sums.append(f"SRC_URI[file{number}.sha256sum] = {bitbake(file.sha256)}")
            moves.append((local, path, "0644"))
        else:
            moves.append((f"bundle/{unit.part.name}/{path}", path, "0644"))
    if bundle is not None:
        # A separate folder: the bundle has its own LICENCES.txt, which is not the one with the checksum above.
        uris.append(f"{bundle[0]};name=bundle;subdir=bundle")
        if not bundle[0].startswith("file:"):
            sums.append(f"SRC_URI[bundle.sha256sum] = {bitbake(bundle[1])}")
    lines += ["", *_assign("SRC_URI", uris), *sums, *_body(moves, mark)]
    if unit.needs:
        lines += _assign(f"RDEPENDS{mark}${{PN}}", unit.needs)
    if not moves:
        lines.append(f'ALLOW_EMPTY{mark}${{PN}} = "1"')
    return "\n".join(lines) + "\n"


def _licence_sum(text: str) -> str:
    # BitBake uses md5 here.
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return f'LIC_FILES_CHKSUM = "file://{LICENCES};md5={digest}"'


def _assign(name: str, values: Sequence[str]) -> list[str]:
    return [f'{name} = " \\', *(f"    {bitbake_item(value)} \\" for value in values), '"']


def _body(moves: Sequence[tuple[str, str, str]], mark: str) -> list[str]:
    folders = sorted({str(PurePosixPath(path).parent) for _, path, _ in moves})
    target = '"${D}${MODELPREP_DIR}"'
    lines = ["", 'do_configure[noexec] = "1"', 'do_compile[noexec] = "1"', "", "do_install() {"]
    lines += [f"    install -d {target}/{bitbake_sh(folder)}" for folder in folders] or [f"    install -d {target}"]
    lines += [
        f'    install -m {mode} "${{UNPACKDIR}}"/{bitbake_sh(source)} {target}/{bitbake_sh(path)}'
        for source, path, mode in moves
    ]
    return [*lines, "}", "", f"FILES{mark}${{PN}} = {_FILES}"]


def _licences(unit: Unit) -> str:
    lines = ["Files of this recipe, their licences, and the source of each licence.", ""]
    for path, file in sorted(unit.part.files.items()):
        lines += licence_lines(path, file)
    return "\n".join(lines) + "\n"


def _layer(family: Sequence[str]) -> str:
    return f"""BBPATH .= ":${{LAYERDIR}}"
BBFILES += "${{LAYERDIR}}/recipes-*/*/*.bb"

BBFILE_COLLECTIONS += "modelprep"
BBFILE_PATTERN_modelprep = "^${{LAYERDIR}}/"
BBFILE_PRIORITY_modelprep = "6"

LAYERVERSION_modelprep = "1"
LAYERDEPENDS_modelprep = "core"
LAYERSERIES_COMPAT_modelprep = "{" ".join(family)}"

# Where downloads are unpacked: newer releases set this themselves, for older ones it is WORKDIR.
UNPACKDIR ??= "${{WORKDIR}}"
"""
