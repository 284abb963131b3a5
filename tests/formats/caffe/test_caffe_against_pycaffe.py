"""The native engine against a real Caffe: the same bytes, the same shapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelprep.formats.caffe import bake, prepare, prototxt
from modelprep.formats.caffe.shapes.infer import infer

RAW = "raw.githubusercontent.com"
DEPLOYS = {
    "alexnet": f"{RAW}/BVLC/caffe/master/models/bvlc_alexnet/deploy.prototxt",
    "caffenet": f"{RAW}/BVLC/caffe/master/models/bvlc_reference_caffenet/deploy.prototxt",
    "googlenet": f"{RAW}/BVLC/caffe/master/models/bvlc_googlenet/deploy.prototxt",
    "vgg19": "gist.githubusercontent.com/ksimonyan/3785162f95cd2d5fee77/raw/"
    "f02f8769e64494bcd3d7e97d5d747ac275825721/VGG_ILSVRC_19_layers_deploy.prototxt",
    "resnet50": f"{RAW}/KaimingHe/deep-residual-networks/master/prototxt/ResNet-50-deploy.prototxt",
    "inception_bn": f"{RAW}/pertusa/InceptionBN-21K-for-Caffe/master/deploy.prototxt",
    "cifar10_full": f"{RAW}/BVLC/caffe/master/examples/cifar10/cifar10_full.prototxt",
    "cifar10_quick": f"{RAW}/BVLC/caffe/master/examples/cifar10/cifar10_quick.prototxt",
    "lenet": f"{RAW}/BVLC/caffe/master/examples/mnist/lenet.prototxt",
    "yolo_tiny": f"{RAW}/hojel/caffe-yolo-model/master/prototxt/yolo_tiny_deploy.prototxt",
    "colorization": f"{RAW}/richzhang/colorization/caffe/models/colorization_deploy_v2.prototxt",
    "openpose": f"{RAW}/opencv/opencv_extra/4.0.1/testdata/dnn/openpose_pose_coco.prototxt",
    "fcn8s": f"{RAW}/opencv/opencv_extra/4.0.1/testdata/dnn/fcn8s-heavy-pascal.prototxt",
    "squeezenet": f"{RAW}/DeepScale/SqueezeNet/"
    "a47b6f13d30985279789d08053d37013d67d131b/SqueezeNet_v1.1/deploy.prototxt",
    "squeezedet": f"{RAW}/opencv/opencv_contrib/4.0.1/modules/dnn_objdetect/samples/data/SqueezeDet_deploy.prototxt",
}
#: For the quick tests; the others have up to 570 MB of weights, or take Caffe a second and more.
SMALL = {"lenet"}
#: The types that a V1 layer can say; the others have no V1 form.
V1_ABLE = {"alexnet", "caffenet", "googlenet", "vgg19", "cifar10_full", "cifar10_quick", "lenet", "fcn8s", "squeezenet"}


def cases() -> list[Any]:
    return [name if name in SMALL else pytest.param(name, marks=pytest.mark.slow) for name in DEPLOYS]


def identical(structure: Path, weights: Path, folder: Path, options: bake.Options | None = None) -> None:
    """Bake with both engines and compare; the files go at once, as they may be large."""
    decided = bake.plan(structure, weights, options)
    native, caffe = folder / "native", folder / "caffe"
    try:
        bake.write_plan(decided, native)
        bake.write_plan(decided, caffe, engine="pycaffe")
        assert bake.compare(native, caffe) is None
        assert native.stat().st_size > 0
    finally:
        for path in (native, caffe, weights if weights.is_relative_to(folder) else native):
            path.unlink(missing_ok=True)


@pytest.mark.parametrize("name", cases())
def test_the_bake_of_v2_weights_is_what_caffe_saves(
    name: str, upstream: Path, pycaffe: str, weights_for: Callable[..., Path], tmp_path: Path
) -> None:
    structure = upstream / DEPLOYS[name]
    identical(structure, weights_for(structure, "V2"), tmp_path)


@pytest.mark.parametrize(
    "name", [case for case in cases() if (case if isinstance(case, str) else case.values[0]) in V1_ABLE]
)
def test_the_bake_of_v1_weights_is_what_caffe_saves(
    name: str, upstream: Path, pycaffe: str, weights_for: Callable[..., Path], tmp_path: Path
) -> None:
    structure = upstream / DEPLOYS[name]
    identical(structure, weights_for(structure, "V1"), tmp_path)


@pytest.mark.parametrize(
    ("structure", "weights"),
    [
        ("cifar10_full", "cifar10_full_iter_60000.caffemodel"),
        ("cifar10_quick", "cifar10_quick_iter_5000.caffemodel"),
    ],
)
def test_real_weights_in_v1_form_bake_to_what_caffe_saves(
    structure: str, weights: str, upstream: Path, pycaffe: str, tmp_path: Path
) -> None:
    commit = "91cb3b5e6fff4994616ada73c68c83801fcfd862"
    real = upstream / RAW / f"everpeace/caffe/{commit}/examples/cifar10" / weights
    identical(upstream / DEPLOYS[structure], real, tmp_path)


def test_the_lenet_that_arm_published_comes_out_byte_for_byte(upstream: Path, tmp_path: Path) -> None:
    published = upstream / "github.com/ARM-software/ML-examples/raw/master/armnn-mnist/model/lenet_iter_9000.caffemodel"
    out = tmp_path / "out"
    bake.write_plan(bake.plan(upstream / DEPLOYS["lenet"], published, bake.Options(batch=1)), out)
    assert out.read_bytes() == published.read_bytes()


@pytest.mark.parametrize("name", cases())
def test_inferred_shapes_are_caffes_own(
    name: str, upstream: Path, caffe_shapes: Callable[[Path], dict[str, Any]]
) -> None:
    structure = upstream / DEPLOYS[name]
    found, asked = infer(prepare.prepare(prototxt.read_file(structure))), caffe_shapes(structure)
    assert {name: list(shape or ()) for name, shape in found.blobs.items()} == asked["blobs"]
    weights = {
        layer.name: [list(shape or ()) for shape in layer.weights or ()] for layer in found.layers if layer.weights
    }
    assert weights == asked["weights"]


@pytest.mark.parametrize(
    "options",
    [
        bake.Options(batch=1),
        bake.Options(input="image"),
        bake.Options(outputs=("sum",)),
        bake.Options(set={"layer[type=LRN].lrn_param.norm_region": "ACROSS_CHANNELS"}),
        bake.Options(batch=2, input="input", outputs=("fc",), set={"layer[name=norm].lrn_param.k": 2.0}),
    ],
    ids=["batch", "input", "outputs", "set", "all"],
)
def test_an_edited_bake_is_what_caffe_saves_of_the_edited_prototxt(
    options: bake.Options, small_net: Path, small_weights: Path, pycaffe: str, tmp_path: Path
) -> None:
    identical(small_net, small_weights, tmp_path, options)
