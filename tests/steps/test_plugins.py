"""Steps by plug-in: found by entry point, part of the key, never in the way of ours; a broken one is named."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from formats.tflite.tiny_tflite import tiny

import modelprep
from modelprep.cli.main import invoke
from modelprep.errors import MissingTool, RecipeError, StepError
from modelprep.pipeline.plan.validate import check_steps
from modelprep.recipe.catalogue import Catalogue
from modelprep.steps import Call, _plugins, find, names

STEP = """
from modelprep.steps import Call, Exempt, Param, Step
def run(call):
    {body}
def make(name):
    return Step(name=name, version=1, summary="s", params={{"file": Param("file", "a file", required=True)}}, run=run,
                proof=Exempt("it makes nothing that could be compared"))
STEP = make("{step}")
"""
COPIES = "call.output.write_bytes(call.params['file'].read_bytes() + b'!')"
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package into a folder on the path: its metadata as an installer writes it."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    before = set(sys.modules)

    def put(package: str, code: str, entries: str, version: str = "1.0") -> None:
        (site / f"{package}_module.py").write_text(code)
        info = site / f"{package}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[modelprep.steps]\n{entries}\n")
        _plugins.plugins.cache_clear()

    yield put
    for name in set(sys.modules) - before:
        if name.endswith("_module"):
            del sys.modules[name]
    _plugins.plugins.cache_clear()


def plain(install: Install, package: str = "vendor", step: str = "vendor", body: str = COPIES, **more: str) -> None:
    install(package, STEP.format(body=body, step=step), f"{step} = {package}_module:STEP", **more)


def recipe(folder: Path, *uses: str) -> list[str]:
    """Write recipes of a file that goes through a step, and give the options that find them."""
    (folder / "recipes" / "own").mkdir(parents=True, exist_ok=True)
    (folder / "recipes" / "own" / "data.bin").write_bytes(b"data")
    digest = hashlib.sha256(b"data").hexdigest()
    for step in uses:
        (folder / "recipes" / "own" / f"by-{step}.yaml").write_text(
            f"schema: 1\ndemo: by {step}\nsummary: a file\nstatus: ready\ntree: t-{step}\nassets:\n"
            f"  f: {{urls: [file:data.bin], sha256: {digest}, pinned_by: this test, licence: CC0-1.0}}\n"
            f"steps:\n  - {{id: made, uses: {step}, with: {{file: $f}}}}\ninstall: {{out.bin: $made}}\n"
        )
    return ["--recipes", str(folder / "recipes"), "--cache", str(folder / "cache"), "--out", str(folder / "out")]


def test_an_installed_step_is_found_listed_and_run_by_a_recipe(install: Install, tmp_path: Path) -> None:
    plain(install)
    assert "vendor" in names()
    assert find("vendor").origin == "vendor 1.0"
    where = recipe(tmp_path, "vendor")
    assert invoke(["fetch", "own/by-vendor", *where]) == 0
    assert (tmp_path / "out" / "t-vendor" / "out.bin").read_bytes() == b"data!"


def test_a_step_runs_in_a_process_of_its_own_where_it_asks_for_that(install: Install, tmp_path: Path) -> None:
    code = (
        STEP.format(body=COPIES, step="vendor") + "import dataclasses; STEP = dataclasses.replace(STEP, cpu_bound=True)"
    )
    install("vendor", code, "vendor = vendor_module:STEP")
    assert invoke(["fetch", "own/by-vendor", *recipe(tmp_path, "vendor")]) == 0


def test_another_version_of_the_package_is_another_key(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = recipe(tmp_path, "vendor", "copy")[:2]

    def keys() -> list[str]:
        found = []
        for name in ("vendor", "copy"):
            assert invoke(["cache", "key", f"own/by-{name}", *where]) == 0
            found.append(capsys.readouterr().out)
        return found

    plain(install)
    first = keys()
    info = next((tmp_path / "site").glob("*.dist-info"))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vendor\nVersion: 1.1\n")
    _plugins.plugins.cache_clear()
    second = keys()
    assert first[0] != second[0]
    assert first[1] == second[1]


@pytest.mark.parametrize(
    ("code", "entry", "cause"),
    [
        ("raise RuntimeError('no licence server')", "vendor = vendor_module:STEP", "RuntimeError: no licence server"),
        ("import sys; sys.exit(3)", "vendor = vendor_module:STEP", "SystemExit: 3"),
        ("def broken(:", "vendor = vendor_module:STEP", "SyntaxError"),
        ("import nothing_of_this_name", "vendor = vendor_module:STEP", "nothing_of_this_name"),
        ("STEP = 3", "vendor = vendor_module:STEP", "not a modelprep.steps.Step but int"),
        ("", "vendor = vendor_module:STEP", "AttributeError"),
        ("", "vendor = other_package_module:STEP", "other_package_module"),
        (STEP.format(body=COPIES, step="other"), "vendor = vendor_module:STEP", "its step 'other'"),
        (STEP.format(body=COPIES, step="vendor") + "\nobject.__setattr__(STEP, 'proof', None)",
         "vendor = vendor_module:STEP", "is not what modelprep.steps.Step describes"),
    ],
)  # fmt: skip
def test_a_package_that_does_not_load_is_named_with_its_cause_and_hinders_nobody(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, entry: str, cause: str
) -> None:
    install("vendor", code, entry)
    assert "vendor" not in names()
    with pytest.raises(MissingTool) as caught:
        find("vendor")
    assert "vendor 1.0" in str(caught.value)
    assert cause in str(caught.value.got)
    where = recipe(tmp_path, "vendor", "copy")
    assert invoke(["fetch", "own/by-copy", "own/by-vendor", *where]) == 7
    said = capsys.readouterr()
    assert "vendor 1.0" in said.err + said.out
    assert "Traceback" not in said.err
    assert (tmp_path / "out" / "t-copy" / "out.bin").read_bytes() == b"data"


def test_a_name_of_ours_is_not_shadowed(install: Install, tmp_path: Path) -> None:
    plain(install, step="copy")
    assert find("copy").origin == ""
    assert names().count("copy") == 1
    out = tmp_path / "out.bin"
    (tmp_path / "in.bin").write_bytes(b"x")
    modelprep.convert("copy", {"file": tmp_path / "in.bin"}, out)
    assert out.read_bytes() == b"x"


def test_a_name_that_two_packages_claim_is_used_from_neither(install: Install) -> None:
    plain(install)
    plain(install, package="rival", step="vendor")
    with pytest.raises(MissingTool) as caught:
        find("vendor")
    assert "claims the same name" in str(caught.value.got)


@pytest.mark.parametrize("name", ["Vendor", "a b", "../x", "_x"])
def test_a_name_that_is_none_is_not_used(install: Install, name: str) -> None:
    plain(install, step=name)
    assert name not in names()


@pytest.mark.parametrize(
    "body",
    [
        "return {'x': object()}",
        "raise ValueError('bad tensor')",
        "import sys; sys.exit('bad tensor')",
        "print('bad tensor'); return 'x' + 1",
    ],
)
def test_an_exception_inside_a_step_names_the_package(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str
) -> None:
    plain(install, body=body)
    assert invoke(["fetch", "own/by-vendor", *recipe(tmp_path, "vendor")]) == 5
    said = capsys.readouterr().err
    assert "vendor 1.0" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out" / "t-vendor" / "out.bin").exists()


def test_a_step_that_makes_nothing_is_told(install: Install, tmp_path: Path) -> None:
    plain(install, body="pass")
    (tmp_path / "in.bin").write_bytes(b"x")
    with pytest.raises(StepError, match="made no file"):
        modelprep.convert("vendor", {"file": tmp_path / "in.bin"}, tmp_path / "out.bin")


def test_what_a_package_prints_when_it_is_loaded_does_not_get_into_the_output(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("vendor", "print('hello')\n" + STEP.format(body=COPIES, step="vendor"), "vendor = vendor_module:STEP")
    assert "vendor" in names()
    assert capsys.readouterr().out == ""


def test_a_recipe_cannot_name_code(install: Install, tmp_path: Path) -> None:
    (tmp_path / "loose_module.py").write_text("raise SystemExit('loaded')")
    for name in ("loose_module:STEP", "loose_module", "os", "_plugins", "tools", "../loose_module"):
        with pytest.raises(RecipeError, match="unknown step"):
            find(name)


# -- the worked example ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, installed by pip into a folder."""
    if find_spec("hatchling") is None or find_spec("pip") is None:
        pytest.skip("the example is built by pip with hatchling, of the dev group")
    folder = tmp_path_factory.mktemp("site")
    source = repository / "docs" / "examples" / "modelprep-neutron"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
         "--disable-pip-version-check", "--target", str(folder), str(source)],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def neutron(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(example))
    monkeypatch.setenv("PYTHONPATH", str(example))
    monkeypatch.delenv("MODELPREP_NEUTRON", raising=False)
    _plugins.plugins.cache_clear()
    yield tmp_path
    sys.modules.pop("modelprep_neutron", None)
    _plugins.plugins.cache_clear()


def converter(folder: Path, body: str) -> str:
    """Write a stand-in for NXP's converter, which we do not have."""
    path = folder / "neutron-converter"
    path.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\nif '--version' in sys.argv: print('3.1.2'); sys.exit()\n"
        f"words = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n{body}"
    )
    path.chmod(0o755)
    return str(path)


PASSES = "pathlib.Path(words['--output']).write_bytes(pathlib.Path(words['--input']).read_bytes())"


def converted(folder: Path) -> Any:
    (folder / "m.tflite").write_bytes(tiny())
    return find("neutron").run(Call({"model": folder / "m.tflite", "target": "imx95"}, folder / "o.tflite"))


def test_the_example_runs_the_converter_of_its_variable_or_on_path(
    neutron: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPREP_NEUTRON", converter(neutron, PASSES))
    facts = converted(neutron)
    assert facts["tool"] == "neutron-converter 3.1.2"
    assert (neutron / "o.tflite").read_bytes() == tiny()
    monkeypatch.delenv("MODELPREP_NEUTRON")
    monkeypatch.setenv("PATH", str(neutron), prepend=os.pathsep)
    assert converted(neutron)["target"] == "imx95"
    assert find("neutron").origin == "modelprep-neutron 0.1.0"


def test_a_step_without_a_family_is_a_command_of_its_name(
    neutron: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELPREP_NEUTRON", converter(neutron, PASSES))
    (neutron / "m.tflite").write_bytes(tiny())
    assert invoke(["neutron", str(neutron / "m.tflite"), "-o", str(neutron / "o.tflite"), "--target", "imx952"]) == 0
    assert (neutron / "o.tflite").read_bytes() == tiny()
    assert "imx952" in capsys.readouterr().err
    assert invoke(["neutron", str(neutron / "m.tflite"), "-o", str(neutron / "p.tflite"), "--target", "imx8"]) == 2


def test_a_step_of_a_package_that_is_not_installed_says_so_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    if "neutron" in names():
        pytest.skip("modelprep-neutron is installed in this environment")
    assert invoke(["neutron", "m.tflite", "-o", "o.tflite"]) == 7
    assert "modelprep-neutron" in capsys.readouterr().err


def test_without_the_converter_a_recipe_ends_with_what_to_install(
    neutron: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = recipe(neutron, "copy")
    file = neutron / "recipes" / "own" / "by-copy.yaml"
    file.write_text(file.read_text().replace("uses: copy, with: {file: $f}", "uses: neutron, with: {model: $f}"))
    monkeypatch.setenv("PATH", "/nowhere")
    assert invoke(["fetch", "own/by-copy", *where, "--json"]) == 7
    said = capsys.readouterr()
    assert "MODELPREP_NEUTRON" in said.out + said.err


def test_the_shipped_variants_call_the_step_rightly(neutron: Path) -> None:
    catalogue = Catalogue.open()
    variants = [
        catalogue.recipe(name, "imx95-npu")
        for name in catalogue.names()
        if "imx95-npu" in catalogue.recipe(name).variants
    ]
    assert len(variants) > 10
    assert [str(error) for recipe in variants for error in check_steps(recipe)] == []


def test_a_shipped_variant_for_imx95_is_converted_by_a_stand_in(
    neutron: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPREP_NEUTRON", converter(neutron, PASSES))
    report = modelprep.fetch(
        ["tflite/label-image@imx95-npu"], out=neutron / "out", cache=neutron / "c", mirrors=[upstream], offline=True
    )
    assert [demo.outcome for demo in report.demos] == ["installed"]
    (made,) = (neutron / "out").glob("*-imx95/tflite-examples/mobilenet_v1_1.0_224_quant_imx95.tflite")
    assert made.stat().st_size == 4276352
    assert '"tool": "neutron-converter 3.1.2"' in (made.parent / "MANIFEST.json").read_text()


@pytest.mark.parametrize(
    ("body", "text"),
    [("sys.exit('unsupported operator')", "unsupported operator"), ("", "wrote no model"),
     ("pathlib.Path(words['--output']).write_bytes(b'x')", "o")],
)  # fmt: skip
def test_a_converter_that_fails_ends_the_step(
    neutron: Path, monkeypatch: pytest.MonkeyPatch, body: str, text: str
) -> None:
    monkeypatch.setenv("MODELPREP_NEUTRON", converter(neutron, body))
    with pytest.raises(StepError) as caught:
        converted(neutron)
    assert text in str(caught.value)
    assert not (neutron / "o.tflite").exists()


def test_the_example_s_recipe_makes_the_model_of_imx95(
    neutron: Path, monkeypatch: pytest.MonkeyPatch, repository: Path, upstream: Path
) -> None:
    monkeypatch.setenv("MODELPREP_NEUTRON", converter(neutron, PASSES))
    chosen = repository / "docs" / "examples" / "modelprep-neutron" / "label-image-imx95.yaml"
    where = ["--mirror", str(upstream), "--offline", "--cache", str(neutron / "cache"), "--out", str(neutron / "out")]
    assert invoke(["fetch", str(chosen), *where]) == 0
    assert (neutron / "out/label-image-imx95/mobilenet_v1_1.0_224_quant_imx95.tflite").is_file()
    manifest = json.loads((neutron / "out/label-image-imx95/MANIFEST.json").read_text())
    assert "modelprep-neutron 0.1.0" in json.dumps(manifest)


def test_doctor_lists_the_packages_and_what_is_wrong_with_them(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    plain(install)
    install("broken", "raise RuntimeError('why')", "broken = broken_module:STEP")
    invoke(["doctor", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert {"tflite.vela", "tflite.quantise", "onnx.to_tflite"} <= set(answer["converters"])
    told = answer["plugins"]
    assert {"name": "vendor", "package": "vendor 1.0", "problem": ""} in told
    assert {"name": "broken", "package": "broken 1.0", "problem": "RuntimeError: why"} in told
