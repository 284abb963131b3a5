"""Exported recipes keep to BitBake's grammar, and their do_install puts the tree's own bytes into the image.

Every line is held to the documented grammar and the shell function is really run, here also for releases whose syntax
today's BitBake no longer reads; ``tests/deliver`` has a real one parse, fetch and install.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from cli.conftest import Ran, Run
from cli.workshop import Workshop, sha256

from modelprep.deliver.yocto import plan_units
from modelprep.errors import UsageError
from modelprep.tree.manifest import InstalledDemo, Manifest
from modelprep.tree.selection import TreePart

ASSIGN = re.compile(r'^[A-Za-z_][\w.:${}-]*(\[[\w.]+\])? (=|\?=|\?\?=|\+=|\.=) "[^"]*"$')


def parsed(text: str) -> tuple[dict[str, str], str]:
    """Read a recipe: assignments with continued lines, ``inherit``, one shell function; anything else fails."""
    variables, body = {}, ""
    lines = iter(text.replace("\\\n", " ").splitlines())
    for line in lines:
        if not line or line.startswith("#") or re.fullmatch(r"inherit [a-z]+", line):
            continue
        if line == "do_install() {":
            for inner in lines:
                if inner == "}":
                    break
                body += inner + "\n"
            else:
                raise AssertionError("the function has no end")
            continue
        assert ASSIGN.match(line), line
        name, _, value = line.partition(" ")
        variables[name] = value.partition('"')[2].rstrip('"').strip()
    return variables, body


@pytest.mark.parametrize(("release", "mark"), [("scarthgap", ":"), ("warrior", "_")])
def test_a_converted_file_comes_out_of_a_bundle_and_lands_where_the_board_wants_it(
    workshop: Workshop, modelprep: Run, tmp_path: Path, release: str, mark: str
) -> None:
    workshop.simple("one", b"o" * 4000)
    assert modelprep("fetch", "things").code == 0
    layer = tmp_path / "layer"
    ran = modelprep(
        "export",
        "yocto",
        "things",
        layer,
        "--release",
        release,
        "--out",
        workshop.out,
        "--recipes",
        workshop.recipes,
        bare=True,
    )
    assert ran.code == 0, ran.err
    home = layer / "recipes-models" / "modelprep-things-one"
    [recipe] = home.glob("*.bb")
    variables, body = parsed(recipe.read_text())
    assert variables["LICENSE"] == "MIT"
    said = hashlib.md5((home / "files" / "LICENCES.txt").read_bytes()).hexdigest()
    assert variables["LIC_FILES_CHKSUM"] == f"file://LICENCES.txt;md5={said}"
    assert f"FILES{mark}${{PN}}" in variables
    unpacked, image = tmp_path / "unpacked", tmp_path / "image"
    for uri in variables["SRC_URI"].split():
        name, *options = uri.removeprefix("file://").split(";")
        if name.endswith(".tar.gz"):
            place = unpacked / dict(o.split("=") for o in options)["subdir"]
            place.mkdir(parents=True)
            subprocess.run(["tar", "-xzf", home / "files" / name, "-C", place], check=True)
    script = body.replace("${MODELPREP_DIR}", "/home/root/Things")
    subprocess.run(
        ["sh", "-eu", "-c", script],
        check=True,
        env={"D": str(image), "UNPACKDIR": str(unpacked), "PATH": "/usr/bin:/bin"},
    )
    assert (image / "home/root/Things/data/one.bin").read_bytes() == b"o" * 4000
    conf = (layer / "conf" / "layer.conf").read_text()
    assert release in re.search(r'LAYERSERIES_COMPAT_modelprep = "(.*)"', conf)[1].split()  # type: ignore[index]


def test_releases_newer_than_those_known_are_added_by_name(workshop: Workshop, modelprep: Run, tmp_path: Path) -> None:
    workshop.simple("one", b"o")
    assert modelprep("fetch", "things").code == 0

    def export(name: str, *options: str) -> Ran:
        places = ("--out", workshop.out, "--recipes", workshop.recipes)
        return modelprep("export", "yocto", "things", tmp_path / name, *options, *places, bare=True)

    def series(name: str) -> list[str]:
        conf = (tmp_path / name / "conf" / "layer.conf").read_text()
        return re.search(r'LAYERSERIES_COMPAT_modelprep = "(.*)"', conf)[1].split()  # type: ignore[index]

    assert export("known", "--release", "wrynose").code == 0
    assert "wrynose" in series("known")
    unknown = export("unknown", "--release", "xanthine")
    assert unknown.code == 2
    assert "--layer-series xanthine" in unknown.err
    assert "did you mean scarthgap" in export("capital", "--release", "Scarthgap").err
    assert export("newer", "--layer-series", "xanthine", "--layer-series", "yellowtail").code == 0
    assert series("newer")[-3:] == ["wrynose", "xanthine", "yellowtail"]
    assert export("odd", "--layer-series", 'x"y').code == 2
    assert export("old", "--release", "dunfell", "--layer-series", "xanthine").code == 2


def test_a_bundle_url_gives_the_bundle_with_its_sum(workshop: Workshop, modelprep: Run, tmp_path: Path) -> None:
    workshop.simple("one", b"o" * 4000)
    assert modelprep("fetch", "things").code == 0
    layer = tmp_path / "layer"
    ran = modelprep(
        "export",
        "yocto",
        "things",
        layer,
        "--bundle-url",
        "https://models.example.org/eiq",
        "--out",
        workshop.out,
        "--recipes",
        workshop.recipes,
        bare=True,
    )
    assert ran.code == 0, ran.err
    [bundle] = (layer / "bundles").iterdir()
    [recipe] = (layer / "recipes-models" / "modelprep-things-one").glob("*.bb")
    variables, _ = parsed(recipe.read_text())
    assert f"https://models.example.org/eiq/{bundle.name};name=bundle" in variables["SRC_URI"]
    assert variables["SRC_URI[bundle.sha256sum]"] == sha256(bundle.read_bytes())


def test_a_plain_download_of_a_real_demo_is_left_to_bitbake(
    upstream: Path, tmp_path: Path, workshop: Workshop, modelprep: Run
) -> None:
    out = tmp_path / "out"
    assert (
        modelprep(
            "fetch",
            "armnn-caffe/mnist",
            "--mirror",
            upstream,
            "--offline",
            "--cache",
            tmp_path / "c",
            "--out",
            out,
            bare=True,
        ).code
        == 0
    )
    layer = tmp_path / "layer"
    assert modelprep("export", "yocto", "armnn-caffe/mnist", layer, "--out", out, bare=True).code == 0
    [recipe] = (layer / "recipes-models" / "modelprep-armnn-caffe-mnist").glob("*.bb")
    variables, _ = parsed(recipe.read_text())
    model = out / "ArmnnTests" / "models" / "lenet_iter_9000.caffemodel"
    assert sha256(model.read_bytes()) in {v for k, v in variables.items() if k.endswith(".sha256sum]")}
    assert "https://" in variables["SRC_URI"]


def test_an_unknown_release_is_refused(workshop: Workshop, modelprep: Run, tmp_path: Path) -> None:
    workshop.simple("one", b"o" * 10)
    assert modelprep("fetch", "things").code == 0
    ran = modelprep(
        "export",
        "yocto",
        "things",
        tmp_path / "l",
        "--release",
        "poky",
        "--out",
        workshop.out,
        "--recipes",
        workshop.recipes,
        bare=True,
    )
    assert ran.code == 2


def part(name: str, board: str = "") -> TreePart:
    return TreePart(Path(name), name, board, Manifest(name, {}, {}))


def test_two_trees_at_one_place_of_the_image_are_refused() -> None:
    with pytest.raises(UsageError, match="one folder of the image") as caught:
        plan_units([part("a", "/usr/share/x"), part("b", "/usr/share/x/")], lambda _: None)
    assert "a and b" in str(caught.value)
    assert plan_units([part("a", "/usr/share/x"), part("b", "/usr/share/y"), part("c")], lambda _: None) == ((), {})


def test_two_demos_that_would_be_one_recipe_are_refused() -> None:
    demos = {name: InstalledDemo(name, name, "key") for name in ("things/a_b", "things/a-b")}
    whole = TreePart(Path("Things"), "Things", "", Manifest("Things", demos, {}))
    with pytest.raises(UsageError, match="one BitBake recipe"):
        plan_units([whole], lambda _: None)


def test_a_demo_made_from_restricted_files_is_left_out_with_its_reason_and_the_tests_do_without_it(
    workshop: Workshop, modelprep: Run, tmp_path: Path
) -> None:
    workshop.simple("free", b"f" * 100)
    path = workshop.simple("secret", b"s" * 100)
    path.write_text(path.read_text().replace("    pinned_by", "    restricted: true\n    pinned_by"))
    assert modelprep("fetch", "things").code == 0
    arguments = ("--out", workshop.out, "--recipes", workshop.recipes)
    layer = tmp_path / "layer"
    ran = modelprep("export", "yocto", "things", layer, *arguments, bare=True)
    assert ran.code == 0, ran.err
    assert "left out: things/secret" in ran.err
    assert "--include-restricted" in ran.err
    home = layer / "recipes-models"
    assert {each.name for each in home.iterdir()} == {"modelprep-things-free", "modelprep-things-tests"}
    [recipe] = (home / "modelprep-things-tests").glob("*.bb")
    assert parsed(recipe.read_text())[0]["RDEPENDS:${PN}"] == "modelprep-things-free"
    assert not [p for p in layer.rglob("*") if p.is_file() and b"secret" in p.read_bytes()]
    ran = modelprep("export", "yocto", "things", tmp_path / "all", *arguments, "--include-restricted", bare=True)
    assert ran.code == 0, ran.err
    [recipe] = (tmp_path / "all" / "recipes-models" / "modelprep-things-secret").glob("*.bb")
    assert parsed(recipe.read_text())[0]["LICENSE_FLAGS"] == "modelprep-restricted"


def test_a_url_with_a_secret_query_and_no_public_source_is_refused_and_nothing_is_written(
    workshop: Workshop, modelprep: Run, tmp_path: Path
) -> None:
    workshop.simple("one", b"o" * 4000, urls=f"'{workshop.server.put('/one.bin?token=tok-4711-secret', b'o' * 4000)}'")
    assert modelprep("fetch", "things").code == 0
    layer = tmp_path / "layer"
    common = ["export", "yocto", "things", layer, "--out", workshop.out, "--recipes", workshop.recipes]
    ran = modelprep(*common, bare=True)
    assert ran.code == 2
    assert ran.err.startswith("error: a layer would contain a URL with a secret query")
    assert "token=REDACTED" in ran.err
    assert "4711" not in ran.err + ran.out
    assert not layer.exists()
    both = f"'{workshop.server.put('/one.bin?token=tok-4711-secret', b'o' * 4000)}', 'https://h.example.com/one.bin'"
    workshop.simple("one", b"o" * 4000, urls=both)
    assert modelprep(*common, bare=True).code == 0
    assert not [path for path in layer.rglob("*") if path.is_file() and b"4711" in path.read_bytes()]
