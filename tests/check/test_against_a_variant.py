"""`check --against`: two sources of one demo are run on the same inputs and compared."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from modelprep.cli.main import invoke

np = pytest.importorskip("numpy", reason="needs numpy, of the check extra")
pytest.importorskip("cv2", reason="needs OpenCV, of the check extra, or TensorFlow")


def graph(weights: object) -> bytes:
    """A GraphDef as text: a picture of 4x4x3, flattened, times a matrix."""
    values = " ".join(f"float_val: {value:.9g}" for value in np.asarray(weights).reshape(-1))
    return f"""
node {{ name: "input" op: "Placeholder" attr {{ key: "dtype" value {{ type: DT_FLOAT }} }} }}
node {{ name: "shape" op: "Const" attr {{ key: "dtype" value {{ type: DT_INT32 }} }} attr {{ key: "value" value {{
  tensor {{ dtype: DT_INT32 tensor_shape {{ dim {{ size: 2 }} }} int_val: 1 int_val: 48 }} }} }} }}
node {{ name: "flat" op: "Reshape" input: "input" input: "shape" attr {{ key: "T" value {{ type: DT_FLOAT }} }} }}
node {{ name: "w" op: "Const" attr {{ key: "dtype" value {{ type: DT_FLOAT }} }} attr {{ key: "value" value {{ tensor {{
  dtype: DT_FLOAT tensor_shape {{ dim {{ size: 48 }} dim {{ size: 5 }} }} {values} }} }} }} }}
node {{ name: "logits" op: "MatMul" input: "flat" input: "w" attr {{ key: "T" value {{ type: DT_FLOAT }} }} }}
""".encode()


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    weights = np.random.default_rng(1).normal(size=(48, 5))
    files = {"a.pb": graph(weights), "b.pb": graph(weights * (1 + 1e-7)), "c.pb": graph(weights + 0.01)}
    image = pytest.importorskip("PIL.Image", reason="the picture is written with Pillow")
    image.new("RGB", (4, 4), (90, 20, 200)).save(tmp_path / "dog.bmp")
    files["dog.bmp"] = (tmp_path / "dog.bmp").read_bytes()
    folder = tmp_path / "recipes" / "own"
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)

    def asset(name: str) -> str:
        digest = hashlib.sha256(files[name]).hexdigest()
        return f"{{urls: ['file:{name}'], sha256: {digest}, pinned_by: this test, licence: MIT}}"

    (folder / "net.yaml").write_text(f"""schema: 1
demo: Own-Net
summary: a matrix
status: ready
tree: Own
assets: {{net: {asset("a.pb")}, dog: {asset("dog.bmp")}}}
install: {{models/net.pb: $net, data/dog.bmp: $dog}}
expect:
  parser: tf
  input: {{name: input, shape: [1, 4, 4, 3]}}
  output: logits
  preprocess: {{kind: image, size: [4, 4]}}
  labels: {{data/dog.bmp: 0}}
variants:
  near: {{summary: rounded otherwise, assets: {{net: {asset("b.pb")}}}}}
  far: {{summary: other weights, assets: {{net: {asset("c.pb")}}}}}
""")
    return folder.parent


def run(recipes: Path, *words: str) -> int:
    base = recipes.parent
    return invoke([*words, "--recipes", str(recipes), "--cache", str(base / "cache")])


def test_the_same_weights_from_two_sources_agree_and_others_do_not(
    recipes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert run(recipes, "fetch", "own/net", *out) == 0
    capsys.readouterr()
    assert run(recipes, "check", "own/net", "--against", "near", *out) == 2
    assert "modelprep fetch own/net@near" in capsys.readouterr().err
    for variant in ("near", "far"):
        assert run(recipes, "fetch", f"own/net@{variant}", "--out", str(tmp_path / variant)) == 0
    outcomes = {}
    for variant in ("near", "far"):
        capsys.readouterr()
        run(recipes, "check", "own/net", "--against", variant, "--json", *out)
        said = json.loads(capsys.readouterr().out.splitlines()[-1])
        (proof,) = said["checks"][0]["proofs"]
        outcomes[variant] = proof["outcome"]
        assert proof["difference"] > 0
    assert outcomes == {"near": "same", "far": "differs"}


def test_a_variant_that_no_demo_has_is_wrong_usage(
    recipes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    run(recipes, "fetch", "own/net", *out)
    assert run(recipes, "check", "own/net", "--against", "frozen", *out) == 2
    assert "near" in capsys.readouterr().err
