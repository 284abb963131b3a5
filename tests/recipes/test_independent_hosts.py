"""Every pinned file of the recipes is at two independent hosts, but for those listed here, of which one is known."""

from __future__ import annotations

from modelprep.api import count_hosts

ONE_HOST = {
    "cifar10-full-caffemodel", "cifar10-tf", "colorization-prototxt", "fcn8s-caffemodel", "fcn8s-prototxt",
    "grace-hopper-bmp", "grace-hopper-jpg", "inception-bn-21k-synset", "resnet50-deploy",
    "ilsvrc-val-18", "inception-bn-21k-deploy", "inception5h-zip", "lenet-caffemodel",
    "onnx-squeezenet-opset9-tgz", "onnx-squeezenet-ort-tgz", "opencv-grace-hopper-227", "opencv-models-yml",
    "resnet-v2-101-tgz", "simple-mnist-tf", "squeezedet-caffemodel", "squeezenet-objdetect-caffemodel",
    "squeezenet-v1.1-prototxt",
}  # fmt: skip


def test_pinned_assets_have_two_independent_hosts() -> None:
    """`modelprep audit --hosts`; GoPoint's list names two places of its files, most of them at one host."""
    report = count_hosts()
    single = {each.key for each in report.assets if each.pinned and len(each.hosts) < 2}
    assert {name for name in single if not name.startswith("gopoint-")} == ONE_HOST
    assert report.pinned_with_archives == report.pinned
