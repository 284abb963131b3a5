"""The board tests as data: complete, consistent, and right about what later versions changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from modelprep.errors import UsageError
from modelprep.targets import armnn_tests, class_names


def test_there_are_22_programs_in_19_02() -> None:
    by_parser: dict[str, int] = {}
    for test in armnn_tests.of_version().values():
        by_parser[test.parser] = by_parser.get(test.parser, 0) + 1
    assert by_parser == {"caffe": 7, "tf": 5, "tflite": 8, "onnx": 2}


@pytest.mark.parametrize("version", armnn_tests.versions())
def test_every_program_of_every_version_is_whole(version: str) -> None:
    for test in armnn_tests.of_version(version).values():
        assert test.version == version
        assert test.data_files, test.name
        assert test.input_shape[0] == 1, test.name
        ids = set(test.default_ids)
        assert ids <= (set(test.labels) if test.labels else set(range(len(test.cases)))), test.name
        if test.classes is not None:
            assert all(case.label < test.classes for case in test.cases), test.name


def test_the_quantised_tests_feed_the_bytes_from_19_05_on() -> None:
    name = "TfLiteMobilenetQuantized-Armnn"
    assert not armnn_tests.of_version("19.02")[name].preprocess.get("raw_bytes")
    assert armnn_tests.of_version("19.05")[name].preprocess["raw_bytes"]
    assert armnn_tests.of_version("21.02")[name].preprocess["raw_bytes"]


def test_19_08_changed_labels_and_19_05_did_not_have_them_yet() -> None:
    name = "TfLiteMobileNetQuantizedSoftmax-Armnn"
    assert name not in armnn_tests.of_version("19.02")
    assert [c.label for c in armnn_tests.of_version("19.05")[name].cases] == [795, 592, 436]
    assert [c.label for c in armnn_tests.of_version("19.11")[name].cases] == [789, 592, 755]


#: Every key that is read; a misspelt one would be passed over.
KEYS = {
    "parser", "model", "text", "input", "outputs", "classes", "preprocess", "default_ids", "cases", "files", "labels",
    "names", "manual", "box_tolerance", "note",
}  # fmt: skip
CASE_KEYS = {"file", "label", "box_centre_px", "box_corners", "confidence", "detections"}


def test_no_key_of_a_test_is_misspelt_and_a_changed_test_is_one_that_there_was() -> None:
    document = yaml.safe_load((Path(armnn_tests.__file__).parent / "armnn_tests.yaml").read_text())
    known = set(document["tests"])
    for version, changes in {"19.02": {"tests": document["tests"]}, **document["versions"]}.items():
        assert set(changes) <= {"tests", "parsers", "all_uint8_pictures", "all_detectors"}, version
        for name, change in changes["tests"].items():
            entry = {} if change is None else change
            assert set(entry) <= KEYS, f"{version}: {name}"
            assert {key for case in entry.get("cases", ()) for key in case} <= CASE_KEYS, f"{version}: {name}"
            assert name in known or "parser" in entry, (
                f"{version}: {name} is no test of an earlier version, nor a whole one"
            )
        known |= set(changes["tests"])


def test_a_test_can_be_gone_from_a_version_on(monkeypatch: pytest.MonkeyPatch) -> None:
    document = yaml.safe_load((Path(armnn_tests.__file__).parent / "armnn_tests.yaml").read_text())
    document["versions"]["99.11"] = {"tests": {"TfLiteMnasNet-Armnn": None}}
    monkeypatch.setattr(armnn_tests, "_document", lambda: document)
    try:
        assert "TfLiteMnasNet-Armnn" not in armnn_tests.of_version("99.11")
        assert "TfLiteMnasNet-Armnn" in armnn_tests.of_version("21.08")
    finally:
        armnn_tests.of_version.cache_clear()


def test_an_unknown_version_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"22\.02"):
        armnn_tests.of_version("22.02")


def test_caffe_and_tensorflow_are_gone_from_21_05_on() -> None:
    assert {test.parser for test in armnn_tests.of_version("21.02").values()} == {"caffe", "tf", "tflite", "onnx"}
    assert {test.parser for test in armnn_tests.of_version("21.08").values()} == {"tflite", "onnx"}


def test_the_three_tests_that_19_05_changed_or_brought() -> None:
    tests = armnn_tests.of_version("19.05")
    resnet, softmax = tests["TfLiteResNetV2-50-Quantized-Armnn"], tests["TfLiteMobileNetQuantizedSoftmax-Armnn"]
    assert (resnet.input_shape, resnet.preprocess["size"]) == ((1, 224, 224, 3), [224, 224])
    assert resnet.outputs == ("resnet_v2_50/predictions/Reshape_1",)
    assert softmax.preprocess["layout"] == "NCHW"
    assert softmax.outputs == ("MobilenetV1/Predictions/Reshape_1",)
    assert tests["TfLiteVGG16Quantized-Armnn"].outputs == ("vgg_16/fc8/squeezed",)


def test_the_data_agree_with_the_facts_that_were_read_from_the_sources(upstream: Path) -> None:
    facts = upstream.parent / "facts" / "armnn-19.02-tests.yaml"
    if not facts.is_file():
        pytest.skip("the facts are not on this machine")
    ours = armnn_tests.of_version()
    for fact in yaml.safe_load(facts.read_text())["tests"]:
        test = ours[fact["name"]]
        assert test.model == fact["model"]["file"]
        assert test.input_name == fact["input"]["name"]
        assert list(test.data_files) == list(dict.fromkeys(entry["file"] for entry in fact["data"]))
        assert list(test.default_ids) == fact["default_ids"]
        if test.cases:
            assert [c.label for c in test.cases] == [entry["label"] for entry in fact["data"]]
        else:
            assert dict(test.labels) == fact["expected_labels"]


def test_class_names_count_from_zero_or_from_the_background() -> None:
    assert class_names.label("imagenet_1000_zero_based", 2) == "great white shark (2)"
    assert class_names.label("imagenet_1001_background_first", 3) == "great white shark (3)"
    assert class_names.label("imagenet_1001_background_first", 0) == "background (0)"
    assert class_names.label("imagenet_1001_background_first", 208) == "golden retriever (208)"
    assert class_names.label("imagenet_1001_background_first", 283) == "tiger cat (283)"
    assert class_names.label("imagenet_1000_zero_based", 281) == "tabby (281)"
    assert class_names.label("voc20_zero_based", 11) == "dog (11)"
    assert class_names.label("inception21k_zero_based", 5) == "5"
    assert len(class_names.names("imagenet_1000_zero_based")) == 1000
