"""No row of the manual is missing: each demo that UM11226 names in sections 4 to 10, with the files that it opens."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelprep.recipe.catalogue import Catalogue, SharedAssets
from modelprep.recipe.schema import Asset, Recipe
from modelprep.recipe.spread import source_of

CATALOGUE = Catalogue.open()
EVERY = CATALOGUE.resolve(["all"])
#: Demos of later boards, which have a test of their own (test_demos_of_later_boards).
ELSEWHERE = ("eiq-examples", "gopoint", "gopoint-6.1", "nnstreamer", "pyeiq")
OF_LATER_GUIDES = ("tflite/label-image-py", "onnxruntime/perf-test")
RECIPES = {each.name: each for each in EVERY if each.group not in ELSEWHERE and each.name not in OF_LATER_GUIDES}

#: The 22 programs of Arm NN 19.02 (facts: armnn-19.02-tests.yaml) -> model file, data files. Written out, so that a
#: slip in the tool's own tables shows.
MNIST = ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte")
THREE = ("Dog.jpg", "Cat.jpg", "shark.jpg")
ARMNN = {
    "CaffeAlexNet-Armnn": ("bvlc_alexnet_1.caffemodel", "shark.jpg"),
    "CaffeCifar10AcrossChannels-Armnn": ("cifar10_full_iter_60000.caffemodel", "test_batch.bin"),
    "CaffeInception_BN-Armnn": ("Inception-BN-batchsize1.caffemodel", "shark.jpg"),
    "CaffeMnist-Armnn": ("lenet_iter_9000.caffemodel", *MNIST),
    "CaffeResNet-Armnn": ("ResNet_50_ilsvrc15_model.caffemodel", "ILSVRC2012_val_00000018.JPEG", "shark.jpg"),
    "CaffeVGG-Armnn": ("VGG_CNN_S.caffemodel", "shark.jpg"),
    "CaffeYolo-Armnn": ("yolov1_tiny_voc2007_model.caffemodel", "yolo_dog_448x448.png"),
    "TfCifar10-Armnn": ("cifar10_tf.prototxt", "test_batch.bin"),
    "TfInceptionV3-Armnn": ("inception_v3_2016_08_28_frozen.pb", *THREE),
    "TfMnist-Armnn": ("simple_mnist_tf.prototxt", *MNIST),
    "TfMobileNet-Armnn": ("mobilenet_v1_1.0_224_frozen.pb", *THREE),
    "TfResNext-Armnn": ("resnext_TF_quantized_for_armnn_team.pb", "ILSVRC2012_val_00000018.JPEG", "shark.jpg"),
    "TfLiteInceptionV3Quantized-Armnn": ("inception_v3_quant.tflite", *THREE),
    "TfLiteInceptionV4Quantized-Armnn": ("inception_v4_299_quant.tflite", *THREE),
    "TfLiteMnasNet-Armnn": ("mnasnet_1.3_224.tflite", *THREE),
    "TfLiteMobileNetSsd-Armnn": ("ssd_mobilenet_v1.tflite", "Cat.jpg"),
    "TfLiteMobilenetQuantized-Armnn": ("mobilenet_v1_1.0_224_quant.tflite", *THREE),
    "TfLiteMobilenetV2Quantized-Armnn": ("mobilenet_v2_1.0_224_quant.tflite", *THREE),
    "TfLiteResNetV2-Armnn": ("resnet_v2_101_299.tflite", *THREE),
    "TfLiteVGG16Quantized-Armnn": ("vgg_16_u8_batch1.tflite", *THREE),
    "OnnxMnist-Armnn": ("mnist_onnx.onnx", *MNIST),
    "OnnxMobileNet-Armnn": ("mobilenetv2-1.0.onnx", *THREE),
}
#: Those that the manual leaves out: where a public file stands in, its recipe says how it differs from Arm's own.
CANDIDATES = {
    "TfCifar10-Armnn", "CaffeCifar10AcrossChannels-Armnn", "TfLiteInceptionV4Quantized-Armnn", "TfLiteResNetV2-Armnn",
    "TfLiteMobileNetSsd-Armnn",
}  # fmt: skip
BROUGHT = {"CaffeYolo-Armnn", "TfResNext-Armnn", "TfLiteVGG16Quantized-Armnn"}

#: Rows beside the Arm NN tests: recipe -> section of the manual, files that it installs.
OTHERS: dict[str, tuple[str, set[str]]] = {
    "opencv-dnn/classification": ("4.1.1", {
        "squeezenet_v1.1.caffemodel", "squeezenet_v1.1.prototxt", "models.yml", "classification_classes_ILSVRC2012.txt",
        "dog416.png"}),
    "opencv-dnn/yolo": ("4.1.2", {
        "yolov3.weights", "yolov3.cfg", "models.yml", "object_detection_classes_yolov3.txt", "dog416.png"}),
    "opencv-dnn/segmentation": ("4.1.3", {
        "fcn8s-heavy-pascal.caffemodel", "fcn8s-heavy-pascal.prototxt", "models.yml", "dog416.png",
        "object_detection_classes_pascal_voc.txt"}),
    "opencv-dnn/colorization": ("4.1.4", {
        "colorization_release_v2.caffemodel", "colorization_deploy_v2.prototxt", "basketball1.png"}),
    "opencv-dnn/openpose": ("4.1.5", {
        "openpose_pose_coco.caffemodel", "openpose_pose_coco.prototxt", "grace_hopper_227.png"}),
    "opencv-dnn/squeezedet": ("4.1.6", {"SqueezeDet.caffemodel", "SqueezeDet_deploy.prototxt", "aeroplane.jpg"}),
    "opencv-dnn/squeezenet-objdetect": ("4.1.7", {
        "SqueezeNet.caffemodel", "SqueezeNet_deploy.prototxt", "space_shuttle.jpg"}),
    "opencv-dnn/text-detection": ("4.1.8", {"frozen_east_text_detection.pb", "imageTextN.png"}),
    "opencv-dnn/svm-introduction": ("4.2.1", set()),
    "opencv-dnn/svm-non-linear": ("4.2.2", set()),
    "opencv-dnn/pca": ("4.2.3", set()),
    "opencv-dnn/logistic-regression": ("4.2.4", {"data01.xml"}),
    "acl/random-weights": ("5.1", set()),
    "acl/alexnet": ("5.2", {"labels.txt", "go_kart.ppm", "cnn_data/alexnet_model/conv1_w.npy"}),
    "tensorflow/benchmark": ("6.1", {"tensorflow_inception_graph.pb"}),
    "tflite/benchmark": ("7.1", {"mobilenet_v1_1.0_224_quant.tflite"}),
    "tflite/label-image": ("7.2.1", {"mobilenet_v1_1.0_224_quant.tflite", "labels.txt", "grace_hopper.bmp"}),
    "onnxruntime/squeezenet": ("9.1", {"squeezenet/model.onnx"} | {
        f"squeezenet/test_data_set_{number}/{kind}_0.pb" for number in range(12) for kind in ("input", "output")}),
    "onnxruntime/mnist": ("9.1", {"mnist/model.onnx", "mnist/test_data_set_2/output_0.pb"}),
    "onnxruntime/mobilenet": ("9.1", {"mobilenetv2-1.0/model.onnx", "mobilenetv2-1.0/test_data_set_0/output_0.pb"}),
    "ml-security/inception-v3": ("10.4", {"test_model/inception_v3.pb"}),
}  # fmt: skip
#: Later Arm NN's tests, which no manual of that board names.
LATER = {"TfLiteMobileNetQuantizedSoftmax-Armnn", "TfLiteResNetV2-50-Quantized-Armnn"}

#: Shared assets that no recipe takes, each with its reason to be in the catalogue.
UNUSED = {
    "grace-hopper-jpg": "the picture of TensorFlow's label_image, which the manual only mentions",
    "inception-bn-21k-synset": "class names for people who read the board's answer",
    "lenet-prototxt": "the manual's network; Arm's own file needs no transforming",
    "resnet50-deploy": "the manual's network; the weights hold their own",
    "ssd-quant-coco14-tgz": "what Arm's documentation names; it takes TensorFlow 1 to convert",
    "opencv-pca-test1": "in the board's image, where the demo reads it",
}


def by_demo(name: str) -> Recipe:
    return next(recipe for recipe in RECIPES.values() if recipe.demo == name)


@pytest.mark.parametrize("demo", ARMNN)
def test_each_of_the_22_arm_nn_tests_has_its_row_with_the_exact_file_names(demo: str) -> None:
    assert len(ARMNN) == 22
    model, *data = ARMNN[demo]
    assert set(by_demo(demo).install) == {f"models/{model}", *(f"data/{name}" for name in data)}


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_demo_of_the_manual_has_its_row(name: str) -> None:
    section, files = OTHERS[name]
    recipe = RECIPES[name]
    assert recipe.manual == section
    assert all(source_of(recipe, path) is not None for path in files)
    assert bool(files) == bool(recipe.install) == (recipe.status != "needs-nothing")


def test_there_is_no_row_that_this_test_does_not_know() -> None:
    assert set(RECIPES) - set(OTHERS) == {by_demo(demo).name for demo in {*ARMNN, *LATER}}


def test_the_opencv_demos_belong_where_the_board_has_its_samples() -> None:
    rows = [recipe for recipe in RECIPES.values() if recipe.group == "opencv-dnn"]
    assert len(rows) == 12
    for recipe in rows:
        assert recipe.board == "/usr/share/OpenCV/samples/bin", recipe.name
        assert str(recipe.run).startswith("./example_"), recipe.name


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_row_says_all_that_a_reader_asks(recipe: Recipe) -> None:
    assert recipe.summary
    assert recipe.manual or recipe.demo in LATER
    if recipe.group != "ml-security":  # its program is the package's own, which finds its files itself
        assert recipe.run
    for asset in recipe.assets.values():
        assert asset.licence is not None, asset.id
        assert asset.licence.source, asset.id
        if asset.sources and (asset.digests or asset.members):
            assert asset.pinned_by, asset.id
        assert not asset.sources or asset.digests or asset.pin == "first-use", asset.id
    if recipe.status == "bring-your-own":
        assert recipe.why
        assert recipe.expect, "what a brought file must fulfil"
        if recipe.demo.endswith("-Armnn"):
            assert {"parser", "input", "preprocess"} <= set(recipe.expect)


def test_what_stands_in_for_a_file_of_arms_says_how_it_differs() -> None:
    for demo in CANDIDATES:
        recipe = by_demo(demo)
        assert recipe.status == "ready"
        text = " ".join((*recipe.notes, *recipe.manual_errors))
        assert re.search(r"never published|likely and not proven|own tag v18\.02", text), demo
    assert {recipe.demo for recipe in RECIPES.values() if recipe.status == "bring-your-own"} == (
        BROUGHT | LATER | {"graph_alexnet"}
    )


def test_the_hedgehog_is_a_slot() -> None:
    recipe = CATALOGUE.recipe("ml-security/inception-v3", "my-picture")
    assert recipe.assets["picture-hedgehog"].provide
    assert "hedgehog.jpg" in recipe.install


@pytest.fixture(scope="module")
def shared(repository: Any) -> Mapping[str, Asset]:
    return SharedAssets([repository / "recipes" / "assets"])


def used() -> set[str]:
    found = set()
    for recipe in EVERY:
        for variant in ("", *recipe.variants):
            found |= {asset.shared for asset in CATALOGUE.recipe(recipe.name, variant).assets.values()}
    return found


def test_every_catalogued_asset_is_taken_by_a_recipe(shared: Mapping[str, Asset]) -> None:
    idle = set(shared) - used()
    assert idle - set(UNUSED) == set()
    assert set(UNUSED) & set(shared) == idle, "an exception that is none any more"


def test_every_asset_of_the_facts_is_used_by_a_recipe(repository: Any, shared: Mapping[str, Asset]) -> None:
    """A file of the facts counts as used when a recipe takes an asset that is fetched from one of its addresses."""
    import os

    folder = Path(os.environ.get("MODELPREP_TEST_FACTS", repository.parent / "shared" / "facts"))
    if not (folder / "assets.yaml").is_file():
        pytest.skip("the asset facts are not on this machine (MODELPREP_TEST_FACTS names their folder)")
    facts = yaml.load((folder / "assets.yaml").read_text("utf-8"), yaml.CSafeLoader)["assets"]
    taken = used()
    urls = {source.url for name, asset in shared.items() if name in taken for source in asset.sources}
    slots = {asset.filename for name, asset in shared.items() if name in taken and asset.provide}
    apart = {
        "opencv_extra_zip": "its files are taken one by one",
        "grace_hopper_jpg": UNUSED["grace-hopper-jpg"],
        "tensorflow_r112_src": "a source tree for building on the board",
        "lenet_prototxt": UNUSED["lenet-prototxt"],
        "resnet50_prototxt": UNUSED["resnet50-deploy"],
        "pca_test1_jpg": UNUSED["opencv-pca-test1"],
        "tf_models_repo": "the graph that it exports is shipped with the recipe",
        "ssd_quant_coco14_tgz": UNUSED["ssd-quant-coco14-tgz"],
        "hedgehog_jpg": "a slot (the facts name a page)",
    }
    idle = {
        fact["id"]
        for fact in facts
        if fact["name"] not in slots
        and not urls & {fact.get("manual_url"), fact.get("url"), *(mirror["url"] for mirror in fact["mirrors"])}
    }
    assert idle - set(apart) == set()
    assert set(apart) - idle <= {"hedgehog_jpg"}, "an exception that is none any more"


def shown(name: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "modelprep", "show", name, *options],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_show_tells_the_section_the_command_the_answer_and_what_the_manual_gets_wrong(repository: Any) -> None:
    text = shown("OnnxMobileNet-Armnn")
    places = [
        text.index(part)
        for part in (
            "section 8.1.4.2", "OnnxMobileNet-Armnn --data-dir=data --model-dir=models", "Overall accuracy: 1.000",
            "data/Dog.jpg: Labrador retriever (208)", "errors in the manual", "-i 3", "sha256 c1c51358",
        )
    ]  # fmt: skip
    assert places == sorted(places)


def test_show_tells_what_another_arm_nn_wants() -> None:
    assert "models/vgg_16_int8.tflite" in shown("armnn-tflite/vgg16-quant", "--armnn", "20.02")
    assert "(669)" not in shown("armnn-tflite/vgg16-quant", "--armnn", "20.02")
    assert "(669)" in shown("armnn-tflite/vgg16-quant")


def test_what_the_facts_say_against_the_manual_stands_in_the_recipes() -> None:
    """One word of each entry of manual_vs_source (facts: armnn-19.02-tests.yaml), and where it must be found."""
    entries = {
        "hyphen": ("CaffeMnist-Armnn", "TfMnist-Armnn"),
        "transforms": ("CaffeMnist-Armnn",),
        "RestNet-50": ("CaffeResNet-Armnn",),
        "would even break it": ("CaffeResNet-Armnn",),
        "must be called 'input'": ("CaffeVGG-Armnn",),
        "these very ImageNet classes": (
            "CaffeAlexNet-Armnn", "TfMobileNet-Armnn", "TfLiteMnasNet-Armnn", "OnnxMobileNet-Armnn",
        ),
        "-i 3": ("OnnxMobileNet-Armnn",),
        "v18.02": ("TfCifar10-Armnn", "CaffeCifar10AcrossChannels-Armnn"),
        "leaves this test out": ("TfLiteInceptionV4Quantized-Armnn", "TfLiteResNetV2-Armnn"),
        "old prototxt": ("CaffeAlexNet-Armnn",),
    }  # fmt: skip
    for word, demos in entries.items():
        for demo in demos:
            assert word in " ".join(by_demo(demo).manual_errors), (word, demo)
