"""``modelprep caffe to-onnx`` and the steps behind it: exit statuses, files, what is verified, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import oracles
import pytest
from layer_cases import Case, layer
from typer.testing import CliRunner

import modelprep
from modelprep.check.proof import caffe_onnx, verify
from modelprep.check.proof.prove import prove
from modelprep.check.proof.types import Conversion
from modelprep.cli.commands import app
from modelprep.errors import StepError
from modelprep.formats.caffe import pycaffe, to_onnx
from modelprep.steps import find

onnx = pytest.importorskip("onnx", reason="the tests read converted models with onnx")
pytest.importorskip("onnxruntime", reason="onnxruntime runs the converted models")

CONVOLUTION = layer("Convolution", "convolution_param { num_output: 40 kernel_size: 3 }", "data", "c", "c")
NET = CONVOLUTION + layer("ReLU", "", "c", "c", "r") + layer("Softmax", "", "c", "p", "p")


def laid_out(tmp_path: Path, layers: str = NET, shape: tuple[int, ...] = (1, 3, 8, 8)) -> Path:
    folder = tmp_path / "net"
    oracles.lay_out_one(Case(layers, {"data": shape}), folder, 3)
    return folder


def call(folder: Path, *options: str) -> tuple[int, str]:
    arguments = ["caffe", "to-onnx", str(folder / "net.prototxt"), str(folder / "net.caffemodel")]
    done = CliRunner().invoke(app, [*arguments, "-o", str(folder / "out.onnx"), *options])
    return done.exit_code, done.output


def test_a_net_is_converted_and_the_numbers_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2", reason="OpenCV's reader runs the original")
    monkeypatch.delenv(pycaffe.VARIABLE, raising=False)
    folder = laid_out(tmp_path)
    status, said = call(folder, "--json")
    assert status == 0, said
    result = json.loads(said[said.index("{") :])
    assert result["facts"]["outputs"] == {"p": [1, 40, 6, 6]}
    assert result["verified"]["numbers"]["outcome"] == "same"
    assert result["verified"]["numbers"]["runtimes"][0].startswith("OpenCV 4")
    onnx.checker.check_model(onnx.load(folder / "out.onnx"), full_check=True)
    assert call(folder)[0] == 2  # it is there already
    assert call(folder, "--force", "--batch", "2")[0] == 0
    assert onnx.load(folder / "out.onnx").graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [
        (["--opset", "9"], 2, "11 to 21"),
        (["--batch", "many"], 2, "dynamic"),
        (["--ssd", "boxes"], 2, "raw"),
        (["--keep", "q"], 5, "no layer makes"),
    ],
)
def test_what_is_asked_wrongly_says_what_is_right(tmp_path: Path, options: list[str], status: int, word: str) -> None:
    folder = laid_out(tmp_path)
    code, said = call(folder, *options)
    assert code == status
    assert word in said
    assert not (folder / "out.onnx").exists()


def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    folder = laid_out(tmp_path)
    text = (folder / "net.prototxt").read_text()
    (folder / "net.prototxt").write_text(text.replace("num_output: 40", "num_output: 41"))
    code, said = call(folder)
    assert code == 5
    assert "another shape in the weights" in said


def test_external_data_lie_beside_the_model_under_its_name(tmp_path: Path) -> None:
    folder = laid_out(tmp_path)
    status, said = call(folder, "--external-data", "--no-verify")
    assert status == 0, said
    assert str(folder / "out.onnx") in said
    assert sorted(path.name for path in folder.glob("out*")) == ["out.onnx", "out.onnx.data"]
    onnx.checker.check_model(str(folder / "out.onnx"), full_check=True)
    found = oracles.run(folder / "out.onnx", oracles.answers(folder / "inputs.npz"))
    oracles.convert(folder)
    assert (found["p"] == oracles.run(folder / "net.onnx", oracles.answers(folder / "inputs.npz"))["p"]).all()
    assert call(folder, "--external-data")[0] == 2


def test_the_python_verb_takes_the_same_parameters(tmp_path: Path) -> None:
    folder = laid_out(tmp_path)
    params = {"prototxt": folder / "net.prototxt", "weights": folder / "net.caffemodel", "outputs": ["c"], "batch": 3}
    made = modelprep.convert("caffe.to_onnx", params, folder / "c.onnx", numbers=False)
    assert made.facts["outputs"] == {"c": [3, 40, 6, 6]}


def conversion(folder: Path, **params: object) -> Conversion:
    step = find("caffe.to_onnx")
    filled = {name: one.default for name, one in step.params.items()}
    files = {"prototxt": folder / "net.prototxt", "weights": folder / "net.caffemodel"}
    return Conversion("caffe.to_onnx", step.version, {**filled, **files, **params}, {}, folder / "net.onnx", "")


def test_a_real_caffe_is_asked_where_there_is_one(
    tmp_path: Path, pycaffe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = laid_out(tmp_path, NET + layer("Log", "log_param { shift: 1 }", "p", "q", "q"))
    oracles.convert(folder)
    found = prove(conversion(folder))
    assert found.outcome == "same", found.reason
    assert found.runtimes[0] == "pycaffe"
    # OpenCV computes another logarithm: it is not asked then, and the conversion is no less right.
    monkeypatch.delenv("MODELPREP_PYCAFFE")
    found = prove(conversion(folder))
    assert found.outcome == "unknown"
    assert "another logarithm" in found.reason


@pytest.mark.parametrize("batch", [None, 4, "dynamic"])
def test_a_model_that_computes_something_else_is_not_kept(tmp_path: Path, batch: object) -> None:
    pytest.importorskip("cv2", reason="OpenCV's reader runs the original")
    folder = laid_out(tmp_path)
    oracles.convert(folder, batch=to_onnx.batch(batch))
    verified = verify.verify(conversion(folder, batch=batch))
    assert verified.proof is not None
    assert verified.proof.outcome == "same"
    model = onnx.load(folder / "net.onnx")
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    weight[0, 0, 0, 0] += 1
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, model.graph.initializer[0].name))
    onnx.save(model, folder / "net.onnx")
    with pytest.raises(StepError, match="different numbers"):
        verify.verify(conversion(folder, batch=batch))


def detector() -> str:
    """A small SSD: one map, three boxes a cell."""
    text = layer("Convolution", "convolution_param { num_output: 6 kernel_size: 3 stride: 2 }", "data", "f", "f")
    for name, outputs in (("loc", 3 * 4), ("conf", 3 * 4)):
        text += layer(
            "Convolution", f"convolution_param {{ num_output: {outputs} kernel_size: 1 }}", "f", f"{name}0", name
        )
        text += layer(
            "Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }", f"{name}0", f"{name}1", f"{name}p"
        )
        text += layer("Flatten", "", f"{name}1", name, f"{name}f")
    text += layer(
        "PriorBox",
        "prior_box_param { min_size: 3 aspect_ratio: 2 clip: false variance: 0.1 }",
        "f data",
        "priors",
        "pb",
    )
    text += layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 4 } }", "conf", "shaped", "shaped")
    text += layer("Softmax", "softmax_param { axis: 2 }", "shaped", "soft", "soft")
    text += layer("Flatten", "", "soft", "scores", "scores")
    params = "num_classes: 4 share_location: true background_label_id: 0 nms_param { nms_threshold: 0.4 top_k: 30 } "
    params += "code_type: CENTER_SIZE keep_top_k: 20 confidence_threshold: 0.1"
    return text + layer(
        "DetectionOutput", f"detection_output_param {{ {params} }}", "loc scores priors", "found", "found"
    )


@pytest.mark.parametrize("options", [{}, {"raw_detections": True}, {"external": True}])
def test_of_detections_the_locations_and_scores_are_compared(tmp_path: Path, options: dict[str, bool]) -> None:
    pytest.importorskip("cv2", reason="OpenCV's reader runs the original")
    folder = laid_out(tmp_path, detector(), (1, 3, 15, 15))
    external = folder / "net.onnx.data" if options.pop("external", False) else None
    oracles.convert(folder, external=external, **options)
    found = verify.verify(conversion(folder)).proof
    assert found is not None
    assert found.outcome == "same", found.reason
    assert found.tensor in ("loc", "scores", "priors")


def test_what_opencv_is_no_reference_for_is_what_it_computes_otherwise(tmp_path: Path, caffe: oracles.Caffe) -> None:
    """Each entry of the list is there for a reason: OpenCV's numbers differ from Caffe's."""
    import numpy as np

    cv2 = pytest.importorskip("cv2", reason="OpenCV's reader is what is measured")
    if int(cv2.__version__.partition(".")[0]) > 4:
        pytest.skip("OpenCV 5 has no Caffe reader")
    layers = {
        "Deconvolution": "convolution_param { num_output: 2 kernel_size: 3 dilation: 2 }",
        "InnerProduct": "inner_product_param { num_output: 3 transpose: true }",
        "LRN": "lrn_param { k: 2 }",
        "Log": "log_param { scale: 0.5 shift: 3 }",
        "MVN": "mvn_param { eps: 0.1 }",
    }
    for type_, params in layers.items():
        folder = tmp_path / type_
        case = Case(layer(type_, params, "data"), {"data": (1, 3, 6, 6)}, {"data": ("positive", 2)})
        oracles.lay_out_one(case, folder, 1)
        caffe.ask(folder)
        expected = oracles.answers(folder / "caffe.npz")["y"]
        net = cv2.dnn.readNetFromCaffe(str(folder / "net.prototxt"), str(folder / "net.caffemodel"))
        net.setInput(oracles.answers(folder / "inputs.npz")["data"])
        found = net.forward()
        differs = found.size != expected.size or float(np.abs(found.ravel() - expected.ravel()).max()) > 1e-3
        assert differs, f"{type_}: OpenCV computes what Caffe does; take it out of the list"
    assert set(layers) == set(caffe_onnx.OPENCV_DIFFERS) - {"Swish"}  # which Caffe 1.0 does not have


_PEAK = """
import sys
from pathlib import Path
from modelprep.formats.caffe import to_onnx
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
folder = Path(sys.argv[1])
external = folder / "big.data" if sys.argv[2] == "external" else None
to_onnx.decide(folder / "small.prototxt", folder / "small.caffemodel", to_onnx.Options())
before = peak()
to_onnx.convert(folder / "net.prototxt", folder / "net.caffemodel", folder / "big.onnx", to_onnx.Options(),
                lambda done, total: None, external=external)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process's peak memory")
@pytest.mark.parametrize("way", ["inside", "external"])
def test_memory_does_not_grow_with_the_weights(tmp_path: Path, way: str) -> None:
    folder = laid_out(tmp_path, layer("InnerProduct", "inner_product_param { num_output: 4000 }", "data", "y", "ip"),
                      (1, 3, 50, 50))  # fmt: skip
    (folder / "small.prototxt").write_text(Case(NET, {"data": (1, 3, 8, 8)}).text())
    (folder / "small.caffemodel").write_bytes(oracles.weights_of((folder / "small.prototxt").read_text(), 1))
    size = (folder / "net.caffemodel").stat().st_size >> 10
    assert size > 100_000  # KiB
    done = subprocess.run([sys.executable, "-c", _PEAK, str(folder), way], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # What onnx itself takes is loaded after the first measurement; the weights are twice that and more.
    assert int(done.stdout) < size * 0.6
