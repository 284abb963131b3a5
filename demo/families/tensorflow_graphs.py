"""Frozen TensorFlow graphs, small, with the inputs and outputs of the originals."""

from __future__ import annotations

from demo import containers, graphdef
from demo.families import Made

_CLASSES = 1001


def make() -> list[Made]:
    """Make MobileNet v1, the frozen Inception v3, Inception 5h and EAST."""
    mobilenet = graphdef.classifier("input", "MobilenetV1/Predictions/Reshape_1", 224, _CLASSES, "MobilenetV1")
    inception = graphdef.classifier("input", "InceptionV3/Predictions/Reshape_1", 299, _CLASSES, "InceptionV3")
    names = "".join(f"stand-in class {number}\n" for number in range(_CLASSES)).encode()
    return [
        Made("mobilenet-v1-float-tgz", containers.tar_gz({"mobilenet_v1_1.0_224_frozen.pb": mobilenet}, prefix="./")),
        Made(
            "inception-v3-frozen",
            containers.tar_gz(
                {"inception_v3_2016_08_28_frozen.pb": inception, "imagenet_slim_labels.txt": names}, prefix=""
            ),
        ),
        Made(
            "inception5h-zip",
            containers.zipped(
                {
                    "imagenet_comp_graph_label_strings.txt": names,
                    "tensorflow_inception_graph.pb": graphdef.classifier("input", "output", 224, 1008),
                    "LICENSE": b"A stand-in: no licence of anybody's.\n",
                }
            ),
        ),
        Made("east-pb", graphdef.classifier("input_images", "feature_fusion/Conv_7/Sigmoid", 320, 1, "feature_fusion")),
    ]
