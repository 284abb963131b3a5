"""The two detection tests: what counts as found, and each way in which the board says no."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detectors import SSD_OPTIONS, ssd_model
from numpy.typing import NDArray

from modelprep.check.board import boxes
from modelprep.check.board.boxes import Detection
from modelprep.check.types import Files, Verdict
from modelprep.check.verdict import judge
from modelprep.targets.armnn_tests import of_version

DOG = of_version()["CaffeYolo-Armnn"].cases[0]
CAT = of_version()["TfLiteMobileNetSsd-Armnn"].cases[0]


# -- reading the outputs --------------------------------------------------------------------------------------------


def yolo_output(*objects: tuple[int, int, int, int, float, float, tuple[float, float, float, float]]) -> NDArray[Any]:
    """Make an output from (row, column, box, class, class score, box score, (x, y, width root, height root))."""
    classes, scales, places = np.zeros((7, 7, 20)), np.zeros((7, 7, 2)), np.zeros((7, 7, 2, 4))
    for row, column, box, number, likely, scale, place in objects:
        classes[row, column, number] = likely
        scales[row, column, box] = scale
        places[row, column, box] = place
    return np.concatenate([classes.ravel(), scales.ravel(), places.ravel()]).astype("f4")


def the_dog(**changes: float) -> NDArray[Any]:
    """Make an output whose best detection is the one that the test wants, or nearly."""
    x, y, width, height = DOG.box
    values = {"x": x, "y": y, "width": width, "height": height, "score": float(DOG.confidence or 0), "class": DOG.label}
    values.update(changes)
    column, row = int(values["x"] / 64), int(values["y"] / 64)
    place = (
        values["x"] / 64 - column,
        values["y"] / 64 - row,
        (values["width"] / 448) ** 0.5,
        (values["height"] / 448) ** 0.5,
    )
    other = (0, 0, 0, 3, 0.5, 0.5, (0.5, 0.5, 0.1, 0.1))
    return yolo_output((row, column, 1, int(values["class"]), values["score"], 1.0, place), other)


def test_yolo_places_a_box_by_its_cell_and_squares_its_size() -> None:
    # Row 2, column 3: centre ((3 + .25) * 64, (2 + .5) * 64), size .5 * .5 * 448 and .25 * .25 * 448.
    found = boxes.yolo(yolo_output((2, 3, 1, 7, 0.5, 0.8, (0.25, 0.5, 0.5, 0.25))))
    assert found[0].number == 7
    assert found[0].score == pytest.approx(0.4)
    assert found[0].box == pytest.approx((208.0, 160.0, 112.0, 28.0))
    assert found[0].corners() == pytest.approx((152 / 448, 146 / 448, 264 / 448, 174 / 448))


def test_of_two_boxes_in_a_cell_the_likelier_comes_first_and_of_equal_ones_the_higher_class() -> None:
    place = (0.0, 0.0, 0.1, 0.1)
    output = yolo_output((0, 0, 0, 4, 0.5, 0.2, place), (0, 0, 1, 9, 0.5, 0.9, place))
    assert [(one.number, round(one.score, 6)) for one in boxes.yolo(output, best=4)] == [
        (9, 0.45), (4, 0.45), (9, 0.1), (4, 0.1),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["x", "y", "width", "height", "score"])
def test_yolo_numbers_may_be_off_by_one_per_cent_and_no_more(name: str) -> None:
    names = dict(zip(("x", "y", "width", "height"), DOG.box, strict=True)) | {"score": float(DOG.confidence or 0)}
    for factor, message in ((1.0, ""), (1.009, ""), (0.992, ""), (1.011, "box"), (0.988, "box")):
        found = boxes.yolo(the_dog(**{name: names[name] * factor}))
        said = boxes.yolo_says(0, found, DOG)
        assert said == ("Detected bounding box for test case 0 is incorrect" if message else ""), factor


def test_yolo_of_another_class_is_named_with_both() -> None:
    said = boxes.yolo_says(3, boxes.yolo(the_dog(**{"class": 14})), DOG)
    assert said == "Prediction for test case 3 is incorrect: Expected (11) but predicted (14)"


def ssd_outputs(*found: Detection) -> list[NDArray[Any]]:
    places, classes, scores = np.zeros((1, 10, 4), "f4"), np.zeros((1, 10), "f4"), np.zeros((1, 10), "f4")
    for i, one in enumerate(found):
        left, top, right, bottom = one.box
        places[0, i], classes[0, i], scores[0, i] = (top, left, bottom, right), one.number, one.score
    return [places, classes, scores, np.array([len(found)], "f4")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, ""),
        ({"number": 17}, "Prediction for test case 0 is incorrect: Expected (16) but predicted (17)"),
        (
            {"score": 0.75},
            "Confidence of prediction for test case 0 is incorrect: Expected (0.792969)  +- 1.0 pc "
            "but predicted (0.75)",
        ),
        ({"box": (0.25, *CAT.box[1:])}, "Detected bounding box for test case 0 is incorrect"),
        # Left and top swapped, as one gets them who takes the outputs' order for the picture's.
        ({"box": (CAT.box[1], CAT.box[0], *CAT.box[2:])}, "Detected bounding box for test case 0 is incorrect"),
    ],
)
def test_ssd_wants_class_score_and_box(change: dict[str, Any], message: str) -> None:
    one = replace(boxes.wanted(CAT), **change)
    assert boxes.ssd_says(0, boxes.ssd(ssd_outputs(one)), CAT) == message


@pytest.mark.parametrize("count", [0, 2, 5])
def test_ssd_wants_exactly_one_detection(count: int) -> None:
    found = boxes.ssd(ssd_outputs(*[boxes.wanted(CAT)] * count))
    assert boxes.ssd_says(0, found, CAT) == f"Number of detections is incorrect: Expected (1) but got ({count})"


def test_more_detections_than_there_is_room_for_are_not_read_beyond_it() -> None:
    outputs = ssd_outputs(boxes.wanted(CAT))
    outputs[3][0] = 1e9
    assert len(boxes.ssd(outputs)) == 10


# -- whole tests on small networks ----------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Files:
    from PIL import Image

    found = Files(tmp_path / "models", tmp_path / "data")
    for folder in (found.models, found.data):
        folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (448, 448, 3), np.uint8)).save(found.data / "yolo_dog_448x448.png")
    Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).save(found.data / "Cat.jpg")
    return found


def yolo_net(files: Files, output: NDArray[Any], elements: int = 1470) -> None:
    """Write a network that gives `output` for every picture: an InnerProduct of weights 0 and a bias."""
    from modelprep.formats.caffe import messages

    net = messages.new("NetParameter")
    given = net.layer.add(name="data", type="Input", top=["data"])
    given.input_param.shape.add().dim.extend((1, 3, 448, 448))
    pool = net.layer.add(name="pool", type="Pooling", bottom=["data"], top=["pool"])
    pool.pooling_param.pool, pool.pooling_param.kernel_size, pool.pooling_param.stride = 1, 64, 64
    dense = net.layer.add(name="fc12", type="InnerProduct", bottom=["pool"], top=["fc12"])
    dense.inner_product_param.num_output = elements
    for values in (np.zeros((elements, 147), "f4"), output[:elements]):
        blob = dense.blobs.add()
        blob.shape.dim.extend(values.shape)
        blob.data.extend(values.ravel().tolist())
    (files.models / "yolov1_tiny_voc2007_model.caffemodel").write_bytes(net.SerializeToString())


def judged(files: Files, demo: str, **options: Any) -> Verdict:
    return judge(of_version()[demo], files, **options)


@pytest.fixture
def opencv() -> None:
    pytest.importorskip("cv2", reason="needs OpenCV before version 5")


@pytest.mark.usefixtures("opencv")
def test_a_yolo_that_finds_the_dog_passes(files: Files) -> None:
    yolo_net(files, the_dog())
    verdict = judged(files, "CaffeYolo-Armnn")
    assert (verdict.outcome, verdict.message) == ("passes", "")
    (case,) = verdict.cases
    assert case.found[0].box == pytest.approx(DOG.box, rel=1e-5)
    assert case.asked == boxes.wanted(DOG)


@pytest.mark.usefixtures("opencv")
def test_a_yolo_that_finds_something_else_fails_also_with_i(files: Files) -> None:
    yolo_net(files, the_dog(**{"class": 14}))
    for iterations in (0, 2):
        verdict = judged(files, "CaffeYolo-Armnn", iterations=iterations)
        assert verdict.message == "Prediction for test case 0 is incorrect: Expected (11) but predicted (14)"
        assert verdict.exit_status == 1
        assert len(verdict.cases) == max(1, iterations)
    assert "dog" in verdict.hint
    assert "person" in verdict.hint


@pytest.mark.usefixtures("opencv")
def test_a_yolo_with_another_grid_ends_the_program(files: Files) -> None:
    yolo_net(files, the_dog(), elements=1000)
    verdict = judged(files, "CaffeYolo-Armnn")
    assert verdict.outcome == "fails"
    assert "Output tensor has incorrect size" in verdict.message


def ssd_net(
    files: Files, found: list[Detection], *, threshold: float = 0.5, iou: float = 0.6, detections: int = 10,
    real_anchors: bool = False,
) -> None:  # fmt: skip
    """Write a detector that finds `found` in every picture."""
    pytest.importorskip("ai_edge_litert.schema_py_generated", reason="LiteRT runs the model")
    options = replace(SSD_OPTIONS, max_detections=detections, score_threshold=threshold, iou_threshold=iou)
    places = [(one.number, one.score, one.box) for one in found]
    model = ssd_model(places, options=options, real_anchors=real_anchors)
    (files.models / "ssd_mobilenet_v1.tflite").write_bytes(model)


def test_an_ssd_that_finds_the_cat_passes(files: Files) -> None:
    ssd_net(files, [boxes.wanted(CAT)])
    verdict = judged(files, "TfLiteMobileNetSsd-Armnn")
    assert (verdict.outcome, verdict.message) == ("passes", "")
    assert verdict.cases[0].found[0].box == pytest.approx(CAT.box, rel=1e-3)  # of bytes
    assert verdict.cases[0].found[0].corners() == verdict.cases[0].found[0].box


def test_real_anchors_beside_bytes_are_bytes_for_19_02_and_what_they_are_for_20_08(files: Files) -> None:
    # As the program of 19.02 did with this detector: anchors without a scale are all 0, and so is the box.
    ssd_net(files, [boxes.wanted(CAT)], real_anchors=True)
    verdict = judged(files, "TfLiteMobileNetSsd-Armnn")
    assert (verdict.message, verdict.exit_status) == ("Detected bounding box for test case 0 is incorrect", 1)
    assert verdict.cases[0].found[0].box == (0, 0, 0, 0)
    (finding,) = [one for one in verdict.findings if one.rule == "TL20"]
    assert finding.detail == "scores of uint8 and anchors of float32 are read as the boxes' uint8"
    later = of_version("20.08")["TfLiteMobileNetSsd-Armnn"]
    ssd_net(files, [boxes.wanted(later.cases[0])], real_anchors=True)
    assert judge(later, files).outcome == "passes"


def test_a_threshold_of_nearly_nothing_leaves_too_many_and_the_hint_names_one_that_would_do(files: Files) -> None:
    faint = Detection(43, 0.25, (0.1, 0.1, 0.2, 0.2))
    ssd_net(files, [boxes.wanted(CAT), faint], threshold=1e-8)
    verdict = judged(files, "TfLiteMobileNetSsd-Armnn")
    assert verdict.message == "Number of detections is incorrect: Expected (1) but got (2)"
    assert "0.25" in verdict.hint
    assert "nms_score_threshold" in verdict.hint
    ssd_net(files, [boxes.wanted(CAT), faint], threshold=0.3)
    assert judged(files, "TfLiteMobileNetSsd-Armnn").outcome == "passes"


def test_nothing_found_is_no_detection_and_no_crash(files: Files) -> None:
    ssd_net(files, [replace(boxes.wanted(CAT), score=0.1)])
    verdict = judged(files, "TfLiteMobileNetSsd-Armnn")
    assert verdict.message == "Number of detections is incorrect: Expected (1) but got (0)"
    assert "nothing" in verdict.hint
    assert verdict.to_json()["outcome"] == "fails"


def test_room_for_other_than_ten_detections_ends_the_program(files: Files) -> None:
    ssd_net(files, [boxes.wanted(CAT)], detections=4)
    verdict = judged(files, "TfLiteMobileNetSsd-Armnn")
    assert verdict.outcome == "fails"
    assert "Output tensor has incorrect size" in verdict.message


def test_later_versions_want_another_box(files: Files) -> None:
    later = of_version("19.08")["TfLiteMobileNetSsd-Armnn"]
    assert later.cases[0].box != CAT.box
    ssd_net(files, [boxes.wanted(later.cases[0])])
    assert judge(later, files).outcome == "passes"
    assert judged(files, "TfLiteMobileNetSsd-Armnn").message == "Detected bounding box for test case 0 is incorrect"
