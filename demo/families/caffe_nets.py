"""The Caffe nets of the Arm NN tests, small: the true names of what the recipes, the bake and the board ask for."""

from __future__ import annotations

from demo import caffe, pictures
from demo.families import Made


def make() -> list[Made]:
    """Make AlexNet, Inception-BN, ResNet-50, VGG-19, BVLC's CIFAR-10 net, and the vulture."""
    alexnet, inception, vgg = _alexnet(), _inception_bn(), _vgg()
    return [
        Made("alexnet-deploy", alexnet.encode()),
        Made("alexnet-caffemodel", caffe.weights(alexnet, v1=True)),
        Made("inception-bn-21k-deploy", inception.encode()),
        Made("inception-bn-21k-caffemodel", caffe.weights(inception)),
        Made("resnet50-caffemodel", caffe.weights(_resnet(), own_input="data")),
        Made("vgg19-deploy", vgg.encode()),
        Made("vgg19-caffemodel", caffe.weights(vgg, v1=True)),
        Made("cifar10-full-prototxt", _cifar10().encode()),
        Made("ilsvrc-val-18", pictures.jpeg(28, 28, pictures.scene(4))),
    ]


def _lrn(name: str, bottom: str, region: str = "", alpha: float = 5e-05) -> str:
    more = f" norm_region: {region}" if region else ""
    return caffe.layer(
        name, "LRN", bottom, parameters=f"  lrn_param {{ local_size: 3 alpha: {alpha} beta: 0.75{more} }}\n"
    )


def _relu(name: str, blob: str) -> str:
    return caffe.layer(name, "ReLU", blob, blob)


def _alexnet() -> str:
    # Five convolutions and three fully-connected layers of the true names: acl/alexnet writes an array for each.
    return (
        'name: "AlexNet"\n' + caffe.given("data", 10, 3, 227, 227)
        + caffe.convolution("conv1", "data", 4, 11, 8) + _relu("relu1", "conv1") + _lrn("norm1", "conv1")
        + caffe.pooling("pool1", "norm1", 2)
        + caffe.convolution("conv2", "pool1", 4, 3, pad=1) + _relu("relu2", "conv2")
        + caffe.convolution("conv3", "conv2", 4, 3, pad=1) + _relu("relu3", "conv3")
        + caffe.convolution("conv4", "conv3", 4, 3, pad=1) + _relu("relu4", "conv4")
        + caffe.convolution("conv5", "conv4", 4, 3, pad=1) + _relu("relu5", "conv5")
        + caffe.pooling("pool5", "conv5", 7)
        + caffe.dense("fc6", "pool5", 8) + _relu("relu6", "fc6") + caffe.layer("drop6", "Dropout", "fc6", "fc6")
        + caffe.dense("fc7", "fc6", 8) + _relu("relu7", "fc7") + caffe.layer("drop7", "Dropout", "fc7", "fc7")
        + caffe.dense("fc8", "fc7", 1000) + caffe.layer("prob", "Softmax", "fc8")
    )  # fmt: skip


def _inception_bn() -> str:
    return (
        'name: "Inception-BN"\n' + caffe.given("data", 10, 3, 224, 224)
        + caffe.convolution("conv1", "data", 4, 8, 8) + caffe.layer("bn1", "BatchNorm", "conv1")
        + caffe.layer("scale1", "Scale", "bn1", parameters="  scale_param { bias_term: true }\n")
        + _relu("relu1", "scale1") + caffe.pooling("global_pool", "scale1", 28, "AVE")
        + caffe.dense("fc1", "global_pool", 21841) + caffe.layer("softmax", "Softmax", "fc1")
    )  # fmt: skip


def _resnet() -> str:
    return (
        'name: "ResNet-50"\n' + caffe.legacy_input("data", 1, 3, 224, 224)
        + caffe.convolution("conv1", "data", 4, 7, 7) + caffe.layer("bn_conv1", "BatchNorm", "conv1", "conv1")
        + caffe.layer("scale_conv1", "Scale", "conv1", "conv1", "  scale_param { bias_term: true }\n")
        + _relu("conv1_relu", "conv1") + caffe.convolution("res2a_branch2a", "conv1", 4, 1)
        + caffe.layer("res2a", "Eltwise", "conv1 res2a_branch2a") + caffe.pooling("pool5", "res2a", 32, "AVE")
        + caffe.dense("fc1000", "pool5", 1000) + caffe.layer("prob", "Softmax", "fc1000")
    )  # fmt: skip


def _vgg() -> str:
    return (
        'name: "VGG_ILSVRC_19_layers"\n' + caffe.legacy_input("data", 10, 3, 224, 224)
        + caffe.convolution("conv1_1", "data", 4, 3, pad=1) + _relu("relu1_1", "conv1_1")
        + caffe.pooling("pool1", "conv1_1", 32) + caffe.dense("fc6", "pool1", 8) + _relu("relu6", "fc6")
        + caffe.layer("drop6", "Dropout", "fc6", "fc6") + caffe.dense("fc8", "fc6", 1000)
        + caffe.layer("prob", "Softmax", "fc8")
    )  # fmt: skip


def _cifar10() -> str:
    # Convolutions of one pixel and an LRN too weak to change a float: the picture reaches ip1 as it came, so the twin's
    # weights fit.
    return (
        'name: "CIFAR10_full_deploy"\n' + caffe.given("data", 1, 3, 32, 32)
        + caffe.convolution("conv1", "data", 3, 1) + _lrn("norm1", "conv1", "WITHIN_CHANNEL", 1e-13)
        + caffe.convolution("conv2", "norm1", 3, 1) + _lrn("norm2", "conv2", "WITHIN_CHANNEL", 1e-13)
        + caffe.convolution("conv3", "norm2", 3, 1) + caffe.dense("ip1", "conv3", 10)
        + caffe.layer("prob", "Softmax", "ip1")
    )  # fmt: skip
