"""What a recipe's conversions prove: once, kept with the result, held to the recipe's tolerance, told by commands."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from formats.tflite.tiny_tflite import tiny

from modelprep.check.proof import prove
from modelprep.cli.main import invoke
from modelprep.errors import RecipeError
from modelprep.recipe.jsonschema import recipe_schema
from modelprep.recipe.loader import parse_recipe

pytest.importorskip("ai_edge_litert", reason="TF Lite models run in LiteRT, of the check extra")


class Workshop:
    """A folder with one recipe of ours: a TF Lite model whose output is renamed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.recipes = folder / "recipes" / "own"
        self.recipes.mkdir(parents=True)
        (self.recipes / "net.tflite").write_bytes(tiny())

    def recipe(self, name: str = "net", tolerance: str = "") -> None:
        """Write a recipe; two of them share the step's result."""
        digest = hashlib.sha256(tiny()).hexdigest()
        beside = f"    tolerance: {tolerance}\n" if tolerance else ""
        (self.recipes / f"{name}.yaml").write_text(
            f"schema: 1\ndemo: {name}\nsummary: a net of our own\nstatus: ready\ntree: {name}\nassets:\n  model:\n"
            f"    urls: [file:net.tflite]\n    sha256: {digest}\n    pinned_by: this test\n"
            "    licence: CC0-1.0\nsteps:\n  - id: named\n    uses: tflite.rename_io\n"
            f"    with: {{model: $model, outputs: {{MobilenetV2/Predictions/Softmax: output}}}}\n{beside}"
            "install:\n  models/net.tflite: $named\n"
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command in the folder."""
        self._capsys.readouterr()
        cache = ["--cache", str(self.folder / "cache"), "--out", str(self.folder / "out")]
        code = invoke([*words, "--recipes", str(self.recipes.parent), *cache])
        return code, self._capsys.readouterr().out

    def proofs(self, *targets: str) -> list[dict[str, Any]]:
        """Check, and give what is told of the conversions."""
        _, out = self.run("check", *targets, "--json")
        return [one for each in json.loads(out.splitlines()[-1])["checks"] for one in each["proofs"]]


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Workshop:
    made = Workshop(tmp_path, capsys)
    made.recipe()
    return made


def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the step write another weight than it read, as a bug of ours would."""
    from modelprep.formats.tflite import rename

    real = rename.apply

    def wrong(model: Any, plan: Any, output: Path, **more: Any) -> None:
        real(model, plan, output, **more)
        data = output.read_bytes()
        assert data.count(good) == 1
        output.chmod(0o644)
        output.write_bytes(data.replace(good, struct.pack("<4f", 0.51, 1.5, 2.5, 3.5)))

    good = struct.pack("<4f", 0.5, 1.5, 2.5, 3.5)
    monkeypatch.setattr(rename, "apply", wrong)


def test_a_step_that_went_wrong_fails_the_check_and_says_what_and_what_next(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    assert shop.run("fetch", "own/net")[0] == 0
    code, out = shop.run("check", "own/net")
    assert code == 1
    (line,) = [line for line in out.splitlines() if "tflite.rename_io" in line]
    for part in (
        "different numbers",
        "'output'",
        "input 1 of 2",
        "allowed 0",
        "exact: ",
        "next: modelprep cache verify",
    ):
        assert part in line
    # From what was kept, the same verdict.
    monkeypatch.setattr(prove, "measure", None)
    (told,) = shop.proofs("own/net")
    assert (told["outcome"], told["tensor"]) == ("differs", "output")


def test_a_proof_is_kept_under_its_result_s_name_and_read_the_second_time(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.run("fetch", "own/net")
    (first,) = shop.proofs("own/net")
    assert (first["outcome"], first["difference"]) == ("same", 0.0)
    kept = [sorted(path.name for path in (shop.folder / "cache" / room).iterdir()) for room in ("results", "proofs")]
    assert kept[0] == kept[1]
    monkeypatch.setattr(prove, "measure", None)
    assert shop.proofs("own/net") == [first]


def test_two_recipes_share_a_measurement_and_each_holds_it_to_its_own_tolerance(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.recipe("loose", "{relative: 0.5, origin: this test}")
    broken(monkeypatch)
    shop.run("fetch", "own/net", "own/loose")
    measured: list[tuple[str, ...]] = []
    real = prove.measure

    def counted(both: prove.Sides, runtimes: tuple[str, ...]) -> Any:
        measured.append(runtimes)
        return real(both, runtimes)

    monkeypatch.setattr(prove, "measure", counted)
    told = {one["origin"]: one["outcome"] for one in shop.proofs("own/net", "own/loose")}
    assert told == {"exact: only names are changed": "differs", "this test": "same"}
    assert len(measured) == 1
    # A tolerance is no part of what the step makes.
    assert len(list((shop.folder / "cache" / "results").iterdir())) == 1


def test_show_tells_the_tolerance_and_where_it_comes_from(shop: Workshop) -> None:
    shop.recipe("loose", "{relative: 0.5, origin: this test}")
    for name, wanted in (
        ("net", {"needed": True, "tolerance": 0.0, "origin": "exact: only names are changed", "from": "step"}),
        ("loose", {"needed": True, "tolerance": 0.5, "origin": "this test", "from": "recipe"}),
    ):
        told = json.loads(shop.run("show", f"own/{name}", "--json")[1])
        assert told["steps"][0]["proof"] == wanted
        assert (
            f"{wanted['tolerance']:.2g} of the largest value ({wanted['origin']})" in shop.run("show", f"own/{name}")[1]
        )


def test_a_model_whose_original_is_gone_is_said_to_be_unproven(shop: Workshop) -> None:
    shop.run("fetch", "own/net")
    digest = hashlib.sha256(tiny()).hexdigest()
    (shop.recipes / "net.tflite").unlink()
    (blob,) = (shop.folder / "cache" / "blobs").rglob(digest)
    blob.unlink()
    (told,) = shop.proofs("own/net")
    assert told["outcome"] == "unknown"
    assert "modelprep fetch own/net" in told["reason"]


# -- the key ---------------------------------------------------------------------------------------------------------

HEAD = "schema: 1\ndemo: D\nassets: {a: {provide: true}}\nsteps:\n  - id: s\n    uses: caffe.bake\n    tolerance: "


@pytest.mark.parametrize(
    ("text", "relative"),
    [("{relative: 1e-6, origin: x}", 1e-6), ("{relative: 0, origin: x}", 0.0), ("{relative: 1, origin: x}", 1.0)],
)
def test_a_tolerance_is_read(text: str, relative: float) -> None:
    (step,) = parse_recipe(HEAD + text, Path("r.yaml"), shared={}).steps
    assert step.tolerance is not None
    assert (step.tolerance.relative, step.tolerance.origin) == (relative, "x")
    assert isinstance(step.tolerance.relative, float)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.0e-6", "a tolerance (a mapping)"),
        ("{relative: 1.0e-6}", "needs the key 'origin'"),
        ("{origin: x}", "needs the key 'relative'"),
        ("{relative: 2, origin: x}", "out of range"),
        ("{relative: -1, origin: x}", "out of range"),
        ("{relative: .nan, origin: x}", "wrong type of value"),
        ("{relative: '0.1', origin: x}", "wrong type of value"),
        ("{relative: true, origin: x}", "wrong type of value"),
        ("{relative: 0.1, origin: ''}", "the text is empty"),
        ("{relative: 0.1, origin: x, absolute: 1}", "unknown key 'absolute' in a tolerance"),
    ],
)
def test_a_tolerance_that_is_none_is_an_error_and_the_schema_says_so_too(text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(HEAD + text, Path("r.yaml"), shared={})
    assert said in str(caught.value)
    jsonschema = pytest.importorskip("jsonschema", reason="the schema is held to a validator")
    import yaml

    value = yaml.safe_load(text)
    if "nan" not in text:
        whole = {"schema": 1, "demo": "D", "steps": [{"id": "s", "uses": "caffe.bake", "tolerance": value}]}
        assert not jsonschema.Draft202012Validator(recipe_schema()).is_valid(whole)
        whole["steps"] = [{"id": "s", "uses": "caffe.bake", "tolerance": {"relative": 1e-6, "origin": "x"}}]
        assert jsonschema.Draft202012Validator(recipe_schema()).is_valid(whole)


# -- memory ----------------------------------------------------------------------------------------------------------

MEASURE = """
import resource, sys
from pathlib import Path
import numpy as np
import cv2
from modelprep.check.proof.prove import prove
from modelprep.check.proof.types import Conversion
from modelprep.formats.caffe.messages import new
from modelprep.steps import Call, find

folder = Path(sys.argv[1])
net = new("NetParameter")
net.name = "wide"
data = net.layer.add(name="data", type="Input", top=["data"])
data.input_param.shape.add().dim.extend([1, 2048])
last = "data"
for number in range(4):
    layer = net.layer.add(name=f"ip{number}", type="InnerProduct", bottom=[last], top=[f"ip{number}"])
    layer.inner_product_param.num_output = 2048
    last = f"ip{number}"
(folder / "net.prototxt").write_text(__import__("modelprep.formats.caffe.prototxt", fromlist=["write"]).write(net))
if sys.argv[2] == "make":
    for layer in net.layer[1:]:
        for shape in ((2048, 2048), (2048,)):
            blob = layer.blobs.add()
            blob.shape.dim.extend(shape)
            blob.data.extend(np.random.default_rng(0).normal(0, 0.02, shape).ravel().tolist())
    (folder / "net.caffemodel").write_bytes(net.SerializeToString())
else:
    step = find("caffe.bake")
    params = {name: param.default for name, param in step.params.items()}
    params |= {"prototxt": folder / "net.prototxt", "weights": folder / "net.caffemodel", "batch": 1}
    step.run(Call(params, folder / "baked"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = prove(Conversion(step.name, step.version, params, {}, folder / "baked", "0" * 64))
    assert found.outcome == "same", found
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_a_proof_holds_one_model_at_a_time(tmp_path: Path, repository: Path) -> None:
    pytest.importorskip("cv2", reason="Caffe models run in OpenCV, of the check extra")
    for what in ("make", "prove"):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(tmp_path), what], cwd=repository, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    size = (tmp_path / "baked").stat().st_size
    assert size > 64 << 20
    # Two at a time would be four times: OpenCV holds the weights as they were read, and as it runs them.
    assert float(done.stdout) < 2.8 * size


def test_fetch_verify_refuses_other_numbers_before_a_tree_is_written(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    code, out = shop.run("fetch", "net", "--verify", "--json")
    assert code == 5
    assert "computes different numbers" in out
    assert not (shop.folder / "out" / "net" / "models").exists()


def test_fetch_verify_proves_what_stands_already_and_says_so(shop: Workshop) -> None:
    assert shop.run("fetch", "net")[0] == 0
    code, out = shop.run("fetch", "net", "--verify", "--json")
    assert code == 0
    assert "the same numbers before and after" in out


def test_fetch_reads_a_stored_proof_and_runs_none(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        broken(patch)
        assert shop.run("fetch", "net")[0] == 0
    assert not (shop.folder / "cache" / "proofs").exists()
    assert shop.proofs("net")[0]["outcome"] == "differs"
    cache = ["--cache", str(shop.folder / "cache"), "--recipes", str(shop.recipes.parent)]
    assert invoke(["fetch", "net", "--out", str(shop.folder / "other"), *cache]) == 5


def test_fetch_always_has_the_file_checked(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelprep.formats.tflite import rename

    def torn(model: Any, plan: Any, output: Path, **more: Any) -> None:
        output.write_bytes(Path(model).read_bytes()[:-200])

    monkeypatch.setattr(rename, "apply", torn)
    code, out = shop.run("fetch", "net", "--json")
    assert code == 5
    assert "is not valid" in out
