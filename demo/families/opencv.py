"""OpenCV samples: small nets with the originals' inputs and outputs, pictures, lists of names, forty digits."""

from __future__ import annotations

import struct

from demo import caffe, digits, pictures
from demo.families import Made


def make() -> list[Made]:
    """Make all of them."""
    made = [Made("opencv-data01", _data01())]
    for network, text in _networks().items():
        prototxt = "openpose-coco-prototxt" if network == "openpose-coco" else f"{network}-prototxt"
        made += [Made(prototxt, text.encode()), Made(f"{network}-caffemodel", caffe.weights(text))]
    made += [Made(asset, pictures.png(width, height, pictures.scene(seed)))
             for asset, width, height, seed in (("opencv-dog416", 416, 416, 1), ("opencv-basketball1", 640, 480, 2),
                                                ("opencv-grace-hopper-227", 227, 227, 3),
                                                ("opencv-image-text-n", 556, 257, 4))]  # fmt: skip
    made += [Made("opencv-aeroplane", pictures.jpeg(52, 52, pictures.scene(5))),
             Made("opencv-space-shuttle", pictures.jpeg(40, 40, pictures.scene(6)))]  # fmt: skip
    for asset, count in (("ilsvrc2012", 1000), ("yolov3", 80), ("pascal-voc", 21)):
        names = "".join(f"stand-in {number}\n" for number in range(count)).encode()
        made.append(Made(f"opencv-classes-{asset}", names))
    return [*made, Made("opencv-models-yml", _MODELS.encode()), *_yolo()]


_MODELS = """\
%YAML 1.0
---
yolo:
  model: "yolov3.weights"
  config: "yolov3.cfg"
  mean: [0, 0, 0]
  scale: 0.00392
  width: 416
  height: 416
  rgb: true
  sample: "object_detection"
squeezenet:
  model: "squeezenet_v1.1.caffemodel"
  config: "squeezenet_v1.1.prototxt"
  mean: [0, 0, 0]
  scale: 1.0
  width: 227
  height: 227
  rgb: false
  sample: "classification"
fcn8s:
  model: "fcn8s-heavy-pascal.caffemodel"
  config: "fcn8s-heavy-pascal.prototxt"
  mean: [0, 0, 0]
  scale: 1.0
  width: 500
  height: 500
  rgb: false
  sample: "segmentation"
"""


def _networks() -> dict[str, str]:
    """Return the nets by the stem of their assets: each takes what its sample feeds and ends in what that reads."""

    def net(given: tuple[str, int, int], output: str, classes: int, stride: int) -> str:
        name, channels, side = given
        return caffe.given(name, 1, channels, side, side) + caffe.convolution(output, name, classes, stride, stride)

    def classifier(output: str) -> str:
        return (
            caffe.given("data", 1, 3, 227, 227) + caffe.convolution("conv10", "data", 1000, 1, 32)
            + caffe.layer("relu_conv10", "ReLU", "conv10", "conv10") + caffe.pooling("pool10", "conv10", 0, "AVE")
            + (caffe.layer(output, "Softmax", "pool10") if output == "prob" else caffe.dense(output, "pool10", 1000))
        )  # fmt: skip

    return {
        "squeezenet-v1.1": classifier("prob"),
        "squeezenet-objdetect": classifier("predictions"),
        "colorization": net(("data_l", 1, 224), "class8_ab", 2, 4),
        "openpose-coco": net(("image", 3, 368), "Mconv7_stage6_L2", 57, 8),
        "fcn8s": net(("data", 3, 500), "score", 21, 1),
        "squeezedet": net(("data", 3, 416), "slice", 36, 16),
    }


def _yolo() -> list[Made]:
    """Make a Darknet net of one convolution and its weights: header (version 0.2.0, images seen), biases, weights."""
    text = (
        "[net]\nbatch=1\nwidth=416\nheight=416\nchannels=3\n\n[convolutional]\nfilters=255\nsize=1\nstride=32\npad=0\n"
        "activation=linear\n\n[yolo]\nmask=0,1,2\nanchors=10,13, 16,30, 33,23\nclasses=80\nnum=3\n"
    )
    values = [(i * 7 % 31 - 15) / 16 for i in range(255 + 255 * 3)]
    weights = struct.pack("<iiiq", 0, 2, 0, 0) + struct.pack(f"<{len(values)}f", *values)
    return [Made("yolov3-cfg", text.encode()), Made("yolov3-weights", weights)]


def _data01() -> bytes:
    labels = [0] * 20 + [1] * 20
    rows = digits.draw(labels, "logistic").reshape(40, -1)
    numbers = "\n".join("    " + " ".join(str(value) for value in row) for row in rows.tolist())
    return (
        '<?xml version="1.0"?>\n<opencv_storage>\n<datamat type_id="opencv-matrix">\n'
        f"  <rows>40</rows>\n  <cols>{digits.SIDE**2}</cols>\n  <dt>f</dt>\n  <data>\n{numbers}\n</data>\n"
        '</datamat>\n<labelsmat type_id="opencv-matrix">\n    <rows>40</rows>\n    <cols>1</cols>\n'
        f"    <dt>d</dt>\n    <data>\n        {' '.join(map(str, labels))}\n    </data>\n"
        "</labelsmat>\n</opencv_storage>\n"
    ).encode()
