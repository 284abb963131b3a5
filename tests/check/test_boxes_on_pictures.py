"""The two detection tests from the picture to the message: what is fed, what is found in it, what the board prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from detectors import SSD_OPTIONS, ssd_model

from modelprep.check.board import boxes
from modelprep.check.types import Files, Verdict
from modelprep.check.verdict import judge
from modelprep.formats.caffe import messages
from modelprep.formats.picture import resize
from modelprep.targets.armnn.detection import IOU_MESSAGE
from modelprep.targets.armnn_tests import of_version

np = pytest.importorskip("numpy", reason="running the models needs the check extra")
image = pytest.importorskip("PIL.Image", reason="test pictures are written with Pillow")

YOLO, SSD = "CaffeYolo-Armnn", "TfLiteMobileNetSsd-Armnn"
DOG, CAT = (of_version()[name].cases[0] for name in (YOLO, SSD))
THE_CAT = (CAT.label, 203 / 256, CAT.box)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    found = Files(tmp_path / "models", tmp_path / "data")
    for folder in (found.models, found.data):
        folder.mkdir()
    return found


def painted(files: Files, name: str, size: tuple[int, int], colour: tuple[int, int, int] | None = None) -> Any:
    """Write a picture of (height, width): of one colour, or of noise."""
    noise = np.random.default_rng(size[0]).integers(0, 256, (*size, 3), np.uint8)
    pixels = noise if colour is None else np.full((*size, 3), colour, np.uint8)
    # A PNG whatever the name: the board's decoder goes by content, and no pixel is lost.
    image.fromarray(pixels).save(files.data / name, format="PNG")
    return pixels


def ssd(files: Files, found: Any = (THE_CAT,), version: str = "19.02", **changes: Any) -> Verdict:
    pytest.importorskip("ai_edge_litert", reason="the model runs in LiteRT, of the check extra")
    (files.models / "ssd_mobilenet_v1.tflite").write_bytes(ssd_model(found, **changes))
    return judge(of_version(version)[SSD], files)


# -- what is fed ---------------------------------------------------------------------------------------------------


def test_a_picture_of_300_by_300_is_fed_as_it_is_and_any_other_through_stb(files: Files) -> None:
    for size in ((300, 300), (300, 400), (213, 100)):
        pixels = painted(files, "Cat.jpg", size)
        through_stb = resize.stb(pixels, 300, 300)
        if size == (300, 300):
            # stb would blur it even so, which is what the Caffe tests do.
            assert not np.array_equal(through_stb, pixels)
        wanted = pixels if size == (300, 300) else through_stb
        (case,) = ssd(files, input_scale=1 / 255, input_zero=0).cases
        assert case.seen.dtype == np.uint8
        # Of pixel/255 quantised with 1/255 the pixels themselves are left; the whole picture is stretched.
        assert np.array_equal(case.seen, wanted[None])


@pytest.mark.parametrize("version", ["19.02", "19.05", "21.02"])
def test_every_version_quantises_the_detectors_picture(files: Files, version: str) -> None:
    painted(files, "Cat.jpg", (300, 300), (0, 128, 255))
    (case,) = ssd(files, version=version).cases
    # round(128 * b / 255) + 128; the classifiers of 19.05 and later are fed the bytes themselves, this one is not.
    assert case.seen[0, 0, 0].tolist() == [128, 192, 255]


@pytest.mark.usefixtures("opencv")
def test_yolo_is_fed_planes_of_pixel_by_255_and_448_by_448_is_left_alone(files: Files) -> None:
    for size in ((448, 448), (448, 449), (100, 70)):
        pixels = painted(files, "yolo_dog_448x448.png", size)
        yolo(files)
        small = pixels if size == (448, 448) else resize.stb(pixels, 448, 448)
        (case,) = judge(of_version()[YOLO], files).cases
        assert np.array_equal(case.seen, small.transpose(2, 0, 1)[None].astype("f4") / np.float32(255))


@pytest.mark.parametrize(
    ("demo", "message"),
    [
        (YOLO, "Failed to load test case 0 with error: Could not load the image at {}/yolo_dog_448x448.png"),
        (SSD, "Failed to load image for test case 0. Error: Could not load the image at {}/Cat.jpg"),
    ],
)
@pytest.mark.usefixtures("opencv")
def test_a_picture_that_is_missing_or_none(files: Files, demo: str, message: str) -> None:
    painted(files, "Cat.jpg", (8, 8))
    ssd(files)
    yolo(files)
    for name in ("Cat.jpg", "yolo_dog_448x448.png"):
        (files.data / name).write_bytes(b"<!DOCTYPE html><html></html>")
    verdict = judge(of_version()[demo], files)
    assert (verdict.message, verdict.exit_status) == (message.format(files.data), 1)
    for path in files.data.iterdir():
        path.unlink()
    assert judge(of_version()[demo], files).message == message.format(files.data)


# -- SSD -------------------------------------------------------------------------------------------------------------


def test_the_cat_passes_and_the_reader_is_told_of_the_other_backend(files: Files) -> None:
    painted(files, "Cat.jpg", (40, 30), (0, 0, 0))
    verdict = ssd(files)
    assert (verdict.outcome, verdict.message, verdict.exit_status) == ("passes", "", 0)
    (case,) = verdict.cases
    (found,) = case.found
    assert (found.number, found.score) == (16, 0.79296875)
    assert found.box == pytest.approx(CAT.box, rel=1e-3)
    assert "LiteRT" in verdict.runtime
    assert "post-process" in verdict.runtime
    assert any("issue 214" in text for text in verdict.warnings)
    later = ssd(files, [(16, 203 / 256, of_version("19.08")[SSD].cases[0].box)], version="19.08")
    assert (later.outcome, later.warnings) == ("passes", ())


def test_what_is_found_depends_on_the_picture(files: Files) -> None:
    painted(files, "Cat.jpg", (40, 30), (0, 0, 0))
    assert ssd(files, by_colour=(0, 17)).outcome == "passes"
    painted(files, "Cat.jpg", (40, 30), (255, 0, 0))
    verdict = ssd(files, by_colour=(0, 17))
    assert verdict.message == "Prediction for test case 0 is incorrect: Expected (16) but predicted (17)"
    assert "cat (16)" in verdict.hint
    assert "dog (17)" in verdict.hint


@pytest.mark.parametrize(
    ("found", "changes", "message"),
    [
        ([THE_CAT, (0, 0.6, (0.0, 0.0, 0.1, 0.1))], {}, "Number of detections is incorrect: Expected (1) but got (2)"),
        ([(16, 0.25, CAT.box)], {}, "Number of detections is incorrect: Expected (1) but got (0)"),
        (
            [(16, 200 / 256, CAT.box)],
            {},
            "Confidence of prediction for test case 0 is incorrect: Expected (0.792969)  +- 1.0 pc "
            "but predicted (0.78125)",
        ),
        ([(16, 203 / 256, (0.2142, *CAT.box[1:]))], {}, "Detected bounding box for test case 0 is incorrect"),
        # Twenty detections, or two classes of each: more than the program has room for.
        (
            [THE_CAT],
            {"options": replace(SSD_OPTIONS, max_detections=20)},
            "Not enough data for output #0: expected 80 elements, got 40",
        ),
        (
            [THE_CAT],
            {"options": replace(SSD_OPTIONS, max_classes=2)},
            "Not enough data for output #0: expected 80 elements, got 40",
        ),
        ([THE_CAT], {"options": replace(SSD_OPTIONS, max_detections=5)}, "Output tensor has incorrect size"),
        # The parser looks shapes up by the graph's order, so boxes get the shape of classes and the other way round.
        ([THE_CAT], {"order": (1, 0, 2, 3)}, "Not enough data for output #1: expected 40 elements, got 10"),
        ([THE_CAT], {"options": replace(SSD_OPTIONS, iou_threshold=0.0)}, IOU_MESSAGE),
        ([THE_CAT], {"options": replace(SSD_OPTIONS, iou_threshold=1.5)}, IOU_MESSAGE),
        ([THE_CAT], {"custom": b"no map"}, IOU_MESSAGE),
        (
            [THE_CAT],
            {"outputs": 5},
            "Failed to parse operator #3 within subgraph #0 error: outputs.size() = 5 is not valid, not in {4}.",
        ),
    ],
)
def test_each_way_of_failing(files: Files, found: Any, changes: dict[str, Any], message: str) -> None:
    painted(files, "Cat.jpg", (40, 30), (0, 0, 0))
    verdict = ssd(files, found, **changes)
    assert (verdict.outcome, verdict.message, verdict.exit_status) == ("fails", message, 1)


def test_another_threshold_is_advised_only_where_it_would_do(files: Files) -> None:
    painted(files, "Cat.jpg", (40, 30), (0, 0, 0))
    faint = (0, 0.6, (0.0, 0.0, 0.1, 0.1))
    for first, advised, off in (
        (THE_CAT, True, ""),
        ((16, 203 / 256, (0.25, *CAT.box[1:])), False, "its left is 19.6% off"),
        ((16, 220 / 256, CAT.box), False, "its score is 8.4% off"),
        ((17, 203 / 256, CAT.box), False, "dog (17)"),
    ):
        verdict = ssd(files, [first, faint])
        assert verdict.message == "Number of detections is incorrect: Expected (1) but got (2)"
        assert ("nms_score_threshold" in verdict.hint) is advised
        assert off in verdict.hint


def test_scores_that_do_not_fit_the_classes(files: Files) -> None:
    painted(files, "Cat.jpg", (40, 30), (0, 0, 0))
    verdict = ssd(files, columns=90)
    assert verdict.message.splitlines() == [
        "An error occurred when preparing the network workloads:  DetectionPostProcessQueueDescriptor: Number of "
        "classes with background should be equal to number of classes + 1.",
        "IRuntime::LoadNetwork failed",
    ]


def test_a_score_and_a_box_within_one_per_cent_pass(files: Files) -> None:
    painted(files, "Cat.jpg", (40, 30), (0, 0, 0))
    near = (16, 202 / 256, tuple(value * 1.009 for value in CAT.box))
    assert ssd(files, [near]).outcome == "passes"


def test_boost_asks_one_per_cent_of_both_numbers_and_20_11_of_the_one_found() -> None:
    cat = boxes.wanted(CAT)
    for factor, both, found in ((1.0100505, "box", ""), (0.9900495, "box", "box"), (1.0099, "", "")):
        one = replace(cat, box=(cat.box[0] * factor, *cat.box[1:]))
        assert bool(boxes.ssd_says(0, [one], CAT, "both")) == bool(both), factor
        assert bool(boxes.ssd_says(0, [one], CAT, "found")) == bool(found), factor
    assert of_version("20.08")[SSD].box_tolerance == "both"
    assert {of_version("20.11")[name].box_tolerance for name in (SSD, YOLO)} == {"found"}
    assert of_version("21.02")["TfLiteMobilenetQuantized-Armnn"].box_tolerance == "both"


def test_with_i_the_one_case_is_repeated_and_still_judged(files: Files) -> None:
    painted(files, "Cat.jpg", (40, 30), (0, 0, 0))
    ssd(files)
    verdict = judge(of_version()[SSD], files, iterations=30)
    assert (verdict.outcome, len(verdict.cases)) == ("passes", 30)
    assert all(case.wanted == 16 for case in verdict.cases)
    # Nobody looks at thirty times the same picture.
    assert sum(case.seen is not None for case in verdict.cases) == 20
    ssd(files, [(17, 203 / 256, CAT.box)])
    verdict = judge(of_version()[SSD], files, iterations=3)
    assert verdict.message == "Prediction for test case 0 is incorrect: Expected (16) but predicted (17)"
    assert [case.message[:26] for case in verdict.cases] == [f"Prediction for test case {n}" for n in range(3)]


# -- YOLO ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def opencv() -> None:
    pytest.importorskip("cv2", reason="the model runs in OpenCV before version 5, of the check extra")


def yolo(files: Files, *, elements: int = 1470, red: float = 0.0, offset: float = 0.0) -> None:
    """Write a network that finds the dog; `red` adds as much of the mean red to the score of a person there."""
    x, y, width, height = DOG.box
    column, row, box = int(x // 64), int(y // 64), 1
    values = np.zeros(1470, "f4")
    cell = row * 7 + column
    values[cell * 20 + 11] = DOG.confidence
    values[980 + cell * 2 + box] = 1.0
    values[1078 + (cell * 2 + box) * 4 :][:4] = (
        x / 64 - column + offset, y / 64 - row, (width / 448) ** 0.5, (height / 448) ** 0.5,
    )  # fmt: skip
    weights = np.zeros((elements, 3), "f4")
    weights[cell * 20 + 14, 0] = red
    net = messages.new("NetParameter")
    net.layer.add(name="data", type="Input", top=["data"]).input_param.shape.add().dim.extend((10, 3, 448, 448))
    pool = net.layer.add(name="pool", type="Pooling", bottom=["data"], top=["pool"]).pooling_param
    pool.pool, pool.kernel_size, pool.stride = 1, 448, 1
    dense = net.layer.add(name="fc12", type="InnerProduct", bottom=["pool"], top=["fc12"])
    dense.inner_product_param.num_output = elements
    for blob in (weights, np.resize(values, elements)):
        made = dense.blobs.add()
        made.shape.dim.extend(blob.shape)
        made.data.extend(blob.ravel().tolist())
    (files.models / "yolov1_tiny_voc2007_model.caffemodel").write_bytes(net.SerializeToString())


@pytest.mark.usefixtures("opencv")
def test_the_dog_passes_until_the_picture_holds_something_likelier(files: Files) -> None:
    yolo(files, red=0.6)
    painted(files, "yolo_dog_448x448.png", (448, 448), (100, 9, 9))
    verdict = judge(of_version()[YOLO], files)
    assert (verdict.outcome, verdict.exit_status) == ("passes", 0)
    assert verdict.cases[0].found[1].number == 14
    painted(files, "yolo_dog_448x448.png", (448, 448), (250, 9, 9))
    verdict = judge(of_version()[YOLO], files)
    assert verdict.message == "Prediction for test case 0 is incorrect: Expected (11) but predicted (14)"
    assert verdict.exit_status == 1


@pytest.mark.usefixtures("opencv")
def test_a_box_elsewhere_is_told_with_how_far_it_is_off(files: Files) -> None:
    painted(files, "yolo_dog_448x448.png", (448, 448))
    yolo(files, offset=0.05)
    verdict = judge(of_version()[YOLO], files)
    assert verdict.message == "Detected bounding box for test case 0 is incorrect"
    # 0.05 of a cell of 64 pixels, of 233.
    assert "centre x is 1.4% off" in verdict.hint


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (1471, "Not enough data for output #0: expected 1471 elements, got 1470"),
        (1469, "Output tensor has incorrect size"),
    ],
)
@pytest.mark.usefixtures("opencv")
def test_a_network_with_another_grid(files: Files, elements: int, message: str) -> None:
    painted(files, "yolo_dog_448x448.png", (448, 448))
    yolo(files, elements=elements)
    verdict = judge(of_version()[YOLO], files)
    assert (verdict.outcome, verdict.message) == ("fails", message)
