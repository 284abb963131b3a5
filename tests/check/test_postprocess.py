"""Arm NN's own detection post-process: against Arm NN 20.08 where it is installed, and where TF Lite differs."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from detectors import options_of, post_process_model

from modelprep.check.board import ssd_head
from modelprep.errors import CheckFailed, StepError
from modelprep.targets.armnn import detection as postprocess
from modelprep.targets.armnn.detection import Options, detect, read_options

np = pytest.importorskip("numpy", reason="the post-process needs the check extra (numpy)")
PYTHON = "/usr/bin/python3"
USUAL = Options(10, 1, 100, 3, 0.3, 0.5, (10.0, 10.0, 5.0, 5.0), False)

#: Runs in pyarmnn's interpreter: each folder holds a model, its two inputs and gets the four outputs.
ORACLE = """
import sys
from pathlib import Path
import numpy as np
import pyarmnn as ann
runtime = ann.IRuntime(ann.CreationOptions())
for folder in map(Path, sys.argv[1:]):
    parser = ann.ITfLiteParser()
    network = parser.CreateNetworkFromBinaryFile(str(folder / "model.tflite"))
    optimised, _ = ann.Optimize(network, [ann.BackendId("CpuRef")], runtime.GetDeviceSpec(), ann.OptimizerOptions())
    number, _ = runtime.LoadNetwork(optimised)
    bound = [parser.GetNetworkInputBindingInfo(0, name) for name in ("encodings", "scores")]
    made = [parser.GetNetworkOutputBindingInfo(0, name) for name in ("boxes", "classes", "values", "number")]
    inputs = ann.make_input_tensors(bound, [np.load(folder / f"{name}.npy") for name in ("encodings", "scores")])
    outputs = ann.make_output_tensors(made)
    runtime.EnqueueWorkload(number, inputs, outputs)
    np.savez(folder / "out.npz", *ann.workload_tensors_to_ndarray(outputs))
"""


def scene(seed: int, boxes: int, classes: int) -> tuple[Any, Any, Any]:
    """Boxes that overlap much, with scores of few levels, so that equal ones abound."""
    rng = np.random.default_rng(seed)
    anchors = np.concatenate([rng.uniform(0.3, 0.7, (boxes, 2)), rng.uniform(0.2, 0.6, (boxes, 2))], axis=1)
    encodings = rng.normal(0, 1.5, (1, boxes, 4))
    scores = rng.integers(0, 12, (1, boxes, classes + 1)) / 12
    return encodings.astype("f4"), scores.astype("f4"), anchors.astype("f4")


CASES = [
    USUAL,
    replace(USUAL, score_threshold=1e-8),
    replace(USUAL, iou_threshold=0.2, max_detections=4),
    replace(USUAL, iou_threshold=1.0),
    replace(USUAL, regular=True, detections_per_class=100),
    replace(USUAL, regular=True, detections_per_class=2, max_detections=5),
    replace(USUAL, max_classes=2, max_detections=5),
    replace(USUAL, max_classes=3, max_detections=3, score_threshold=0.0),
    replace(USUAL, max_classes=9, max_detections=2),
    replace(USUAL, score_threshold=2.0),
]


def test_arm_nn_itself_finds_the_same_boxes(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="the models are written with LiteRT's schema")
    if not Path(PYTHON).is_file() or subprocess.run([PYTHON, "-c", "import pyarmnn"], capture_output=True).returncode:
        pytest.skip("needs Debian's python3-pyarmnn, libarmnn-cpuref-backend22 and libarmnntfliteparser22")
    folders, wanted = [], []
    for number, options in enumerate(CASES):
        for boxes in (1, 2, 17, 60):
            folder = tmp_path / f"{number}-{boxes}"
            folder.mkdir()
            encodings, scores, anchors = scene(100 * number + boxes, boxes, options.classes)
            (folder / "model.tflite").write_bytes(post_process_model(anchors, options))
            np.save(folder / "encodings.npy", encodings)
            np.save(folder / "scores.npy", scores)
            folders.append(folder)
            wanted.append(detect(encodings, scores, anchors, options))
    done = subprocess.run([PYTHON, "-c", ORACLE, *map(str, folders)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    kept = 0
    for folder, ours in zip(folders, wanted, strict=True):
        with np.load(folder / "out.npz") as theirs:
            for name, one in zip(theirs.files, ours, strict=True):
                assert np.allclose(theirs[name].reshape(one.shape), one, rtol=1e-6, atol=1e-6), (folder.name, name)
        kept += int(ours[3][0])
    assert kept > 100


def row(*spans: tuple[float, float, float]) -> tuple[Any, Any, Any]:
    """Boxes of full height from left to right, each with a score."""
    anchors = np.array([(0.5, (left + right) / 2, 1.0, right - left) for left, right, _ in spans], "f4")
    scores = np.array([[(0.0, score) for _, _, score in spans]], "f4")
    return np.zeros((1, len(spans), 4), "f4"), scores, anchors


ONE = replace(USUAL, classes=1)


def test_a_box_that_was_dropped_still_drops_its_neighbour() -> None:
    # Each overlaps the next by a good half; TF Lite would keep the first and the third.
    spans = ((0.0, 0.4, 0.9), (0.1, 0.5, 0.8), (0.2, 0.6, 0.7))
    boxes, _, values, number = detect(*row(*spans), ONE)
    assert number[0] == 1
    assert values[0, :2].tolist() == pytest.approx([0.9, 0.0])
    assert boxes[0, 0].tolist() == pytest.approx([0.0, 0.0, 1.0, 0.4], abs=1e-6)
    # Without the one between them both are kept.
    assert detect(*row(spans[0], spans[2]), ONE)[3][0] == 2


def test_boxes_are_decoded_relative_to_their_anchors() -> None:
    encodings, scores, anchors = row((0.2, 0.6, 0.9))
    # y, x a tenth of the anchor's size up; height e times the anchor's, width as it is.
    encodings[0, 0] = (1.0, 1.0, 5.0, 0.0)
    boxes = detect(encodings, scores, anchors, ONE)[0]
    half = np.e / 2
    assert boxes[0, 0].tolist() == pytest.approx([0.6 - half, 0.24, 0.6 + half, 0.64], rel=1e-5)


def test_unused_places_are_zero_and_the_number_is_what_was_found() -> None:
    boxes, classes, values, number = detect(*row((0.0, 0.2, 0.9), (0.5, 0.7, 0.4), (0.8, 0.9, 0.29)), ONE)
    assert (boxes.shape, classes.shape, values.shape) == ((1, 10, 4), (1, 10), (1, 10))
    assert number.tolist() == [2]
    assert not boxes[0, 2:].any()
    assert not values[0, 2:].any()


def test_inputs_that_do_not_fit_are_told() -> None:
    encodings, scores, anchors = row((0.0, 0.2, 0.9))
    with pytest.raises(StepError, match="do not fit"):
        detect(encodings, scores, anchors, replace(ONE, classes=2))
    with pytest.raises(StepError, match="do not fit"):
        detect(encodings, scores, anchors[:0], ONE)


def test_options_are_read_as_arm_nn_reads_them() -> None:
    assert read_options(options_of(USUAL)) == USUAL
    assert read_options(options_of(replace(USUAL, regular=True))).regular
    # What is not there is 0, but for one class a detection in the regular way (TF Lite: 100).
    bare = read_options(options_of(USUAL, leave_out=("detections_per_class", "nms_iou_threshold", "use_regular_nms")))
    assert (bare.detections_per_class, bare.iou_threshold, bare.regular) == (1, 0.0, False)
    assert USUAL.sizes == (40, 10, 10, 1)
    assert replace(USUAL, max_classes=2).sizes == (80, 20, 20, 1)
    with pytest.raises(StepError, match="options of a custom operator"):
        read_options(b"not a map")


def test_the_order_of_equal_scores_is_libstdcxxs(tmp_path: Path) -> None:
    import shutil

    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    (tmp_path / "sort.cpp").write_text(
        "#include <algorithm>\n#include <iostream>\n#include <numeric>\n#include <vector>\n"
        "int main() { size_t n, k; while (std::cin >> n >> k) {"
        " std::vector<float> v(n); for (auto& x : v) std::cin >> x;"
        " std::vector<unsigned> i(n); std::iota(i.begin(), i.end(), 0);"
        " std::partial_sort(i.begin(), i.begin() + k, i.end(), [&](unsigned a, unsigned b) { return v[a] > v[b]; });"
        " for (size_t j = 0; j < k; ++j) std::cout << i[j] << ' '; std::cout << '\\n'; } }\n"
    )
    subprocess.run([compiler, "-O1", "-o", "sort", "sort.cpp"], cwd=tmp_path, check=True)
    rng = np.random.default_rng(5)
    rows = [rng.integers(0, 4, n).tolist() for n in range(1, 70)]
    counts = [int(rng.integers(0, len(values) + 1)) for values in rows] + [len(values) for values in rows]
    asked = "\n".join(f"{len(v)} {k} {' '.join(map(str, v))}" for v, k in zip(rows * 2, counts, strict=True))
    told = subprocess.run([tmp_path / "sort"], input=asked, capture_output=True, text=True, check=True).stdout
    for line, values, count in zip(told.splitlines(), rows * 2, counts, strict=True):
        assert postprocess.highest(count, values) == [int(word) for word in line.split()]


def test_options_that_are_no_sane_numbers_are_none_at_all() -> None:
    flexbuffers = pytest.importorskip("flatbuffers.flexbuffers", reason="needs NumPy beside flatbuffers")
    data = {"max_detections": float("inf"), "max_classes_per_detection": float("nan"), "num_classes": -3}
    read = read_options(bytes(flexbuffers.Dumps(data)))
    assert (read.max_detections, read.max_classes, read.classes) == (0, 0, 0)


def test_room_for_a_billion_detections_is_not_made(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="the model is written with LiteRT's schema")
    path = tmp_path / "model.tflite"
    encodings, scores, anchors = row((0.0, 0.2, 0.9))
    path.write_bytes(post_process_model(anchors, replace(ONE, max_detections=10**9)))
    with pytest.raises(CheckFailed, match="allocates 1000000000 detections"):
        ssd_head.find(path, ["boxes", "classes", "values", "number"])
    path.write_bytes(post_process_model(anchors, ONE))
    head = ssd_head.find(path, ["number", "boxes"])
    assert head is not None
    assert (head.slots, head.sizes) == ((3, 0), (1, 40))
    values = dict(zip((one.index for one in head.inputs), (encodings, scores, anchors), strict=True))
    found = head.outputs(values.__getitem__)
    assert found[0].tolist() == [1]
    # Other outputs than its own are the runtime's business.
    assert ssd_head.find(path, ["number", "elsewhere"]) is None
