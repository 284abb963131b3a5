"""Public network architectures as prototxts, generated here, and random weights for any prototxt.

Only the structures are here: layers, sizes, names. Weights are drawn so that activations stay within 1e-3 and 1e3.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


class Net:
    """A prototxt while it is written."""

    def __init__(self, name: str, *shape: int, data: str = "data") -> None:
        dims = " ".join(f"dim: {dim}" for dim in shape)
        self.lines = [
            f'name: "{name}"',
            f'layer {{ name: "{data}" type: "Input" top: "{data}" input_param {{ shape {{ {dims} }} }} }}',
        ]
        self.last = data

    def add(self, type_: str, name: str, params: str = "", bottom: str | Iterable[str] = "", tops: str = "") -> str:
        bottoms = [bottom or self.last] if isinstance(bottom, str) else list(bottom)
        made = tops.split() or [name]
        wires = " ".join([*(f'bottom: "{b}"' for b in bottoms), *(f'top: "{t}"' for t in made)])
        self.lines.append(f'layer {{ name: "{name}" type: "{type_}" {wires} {params} }}')
        self.last = made[0]
        return self.last

    def conv(self, name: str, outputs: int, kernel: int, stride: int = 1, pad: int | None = None, group: int = 1,
             bottom: str = "", *, bias: bool = True, extra: str = "", type_: str = "Convolution") -> str:  # fmt: skip
        pad = kernel // 2 if pad is None else pad
        text = f"num_output: {outputs} kernel_size: {kernel} stride: {stride} pad: {pad} group: {group} {extra}"
        return self.add(type_, name, f"convolution_param {{ {text} {'' if bias else 'bias_term: false'} }}", bottom)

    def relu(self, name: str, type_: str = "ReLU") -> str:
        return self.add(type_, name, bottom=self.last, tops=self.last)

    def bn(self, name: str) -> str:
        self.add("BatchNorm", f"{name}/bn", tops=self.last)
        return self.add("Scale", f"{name}/scale", "scale_param { bias_term: true }", tops=self.last)

    def block(self, name: str, outputs: int, kernel: int, stride: int = 1, group: int = 1, bottom: str = "",
              *, act: str = "ReLU", pad: int | None = None) -> str:  # fmt: skip
        self.conv(name, outputs, kernel, stride, pad, group, bottom, bias=False)
        self.bn(name)
        return self.relu(f"{name}/relu", act) if act else self.last

    def pool(self, name: str, method: str, kernel: int, stride: int, pad: int = 0, tops: str = "") -> str:
        text = (
            f"pool: {method} kernel_size: {kernel} stride: {stride} pad: {pad}"
            if kernel
            else "pool: AVE global_pooling: true"
        )
        return self.add("Pooling", name, f"pooling_param {{ {text} }}", tops=tops)

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def _fire(net: Net, name: str, squeeze: int, expand: int) -> None:
    net.conv(f"{name}/squeeze1x1", squeeze, 1)
    squeezed = net.relu(f"{name}/relu_squeeze1x1")
    parts = []
    for kernel in (1, 3):
        net.conv(f"{name}/expand{kernel}x{kernel}", expand, kernel, bottom=squeezed)
        parts.append(net.relu(f"{name}/relu_expand{kernel}x{kernel}"))
    net.add("Concat", f"{name}/concat", bottom=parts)


def squeezenet_10() -> str:
    net = Net("SqueezeNet 1.0", 1, 3, 227, 227)
    net.conv("conv1", 96, 7, 2, 0)
    net.relu("relu_conv1")
    net.pool("pool1", "MAX", 3, 2)
    number = 2
    for stage in ([(16, 64), (16, 64), (32, 128)], [(32, 128), (48, 192), (48, 192), (64, 256)], [(64, 256)]):
        for squeeze, expand in stage:
            _fire(net, f"fire{number}", squeeze, expand)
            number += 1
        if number < 10:
            net.pool(f"pool{number - 1}", "MAX", 3, 2)
    net.add("Dropout", "drop9", tops=net.last)
    net.conv("conv10", 1000, 1)
    net.relu("relu_conv10")
    net.pool("pool10", "AVE", 0, 1)
    net.add("Softmax", "prob")
    return net.text()


MOBILENET = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]


def _mobilenet_body(net: Net, act: str = "ReLU") -> list[str]:
    channels, tops = 32, []
    net.block("conv0", 32, 3, 2, act=act)
    for i, (outputs, stride) in enumerate(MOBILENET, 1):
        net.block(f"conv{i}/dw", channels, 3, stride, group=channels, act=act)
        tops.append(net.block(f"conv{i}", outputs, 1, act=act))
        channels = outputs
    return tops


def mobilenet_v1() -> str:
    net = Net("MobileNet v1", 1, 3, 224, 224)
    _mobilenet_body(net)
    net.pool("pool6", "AVE", 0, 1)
    net.conv("fc7", 1000, 1)
    net.add("Softmax", "prob")
    return net.text()


def mobilenet_v2() -> str:
    net = Net("MobileNet v2", 1, 3, 224, 224)
    net.block("conv1", 32, 3, 2, act="ReLU6")
    channels = 32
    plan = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for s, (grow, outputs, count, stride) in enumerate(plan):
        for i in range(count):
            name, before = f"block{s}_{i}", net.last
            net.block(f"{name}/expand", channels * grow, 1, act="ReLU6")
            net.block(f"{name}/dw", channels * grow, 3, stride if i == 0 else 1, group=channels * grow, act="ReLU6")
            net.block(f"{name}/linear", outputs, 1, act="")
            if i:
                net.add("Eltwise", f"{name}/sum", bottom=[before, net.last])
            channels = outputs
    net.block("conv_last", 1280, 1, act="ReLU6")
    net.pool("pool", "AVE", 0, 1)
    net.conv("fc", 1000, 1)
    net.add("Softmax", "prob")
    return net.text()


def densenet_121() -> str:
    net = Net("DenseNet-121", 1, 3, 224, 224)
    net.block("conv1", 64, 7, 2)
    net.pool("pool1", "MAX", 3, 2, 1)
    channels = 64
    for stage, count in enumerate((6, 12, 24, 16), 2):
        for i in range(count):
            name, before = f"conv{stage}_{i}", net.last
            net.add("BatchNorm", f"{name}/bn", bottom=before)
            net.add("Scale", f"{name}/scale", "scale_param { bias_term: true }", tops=net.last)
            net.relu(f"{name}/relu")
            net.block(f"{name}/x1", 128, 1)
            net.conv(f"{name}/x2", 32, 3, bias=False)
            net.add("Concat", f"concat_{stage}_{i}", bottom=[before, net.last])
            channels += 32
        net.add("BatchNorm", f"tail{stage}/bn")
        net.add("Scale", f"tail{stage}/scale", "scale_param { bias_term: true }", tops=net.last)
        net.relu(f"tail{stage}/relu")
        if stage < 5:
            channels //= 2
            net.conv(f"conv{stage}_blk", channels, 1, bias=False)
            net.pool(f"pool{stage}", "AVE", 2, 2)
    net.pool("pool5", "AVE", 0, 1)
    net.conv("fc6", 1000, 1)
    net.add("Softmax", "prob")
    return net.text()


def resnext_50() -> str:
    net = Net("ResNeXt-50 32x4d", 1, 3, 224, 224)
    net.block("conv1", 64, 7, 2)
    net.pool("pool1", "MAX", 3, 2)
    for stage, count in enumerate((3, 4, 6, 3)):
        width = 128 << stage
        for i in range(count):
            name, before, stride = f"res{stage}_{i}", net.last, 2 if stage and not i else 1
            short = net.block(f"{name}/short", width * 2, 1, stride, act="") if not i else before
            net.block(f"{name}/a", width, 1, bottom=before)
            net.block(f"{name}/b", width, 3, stride, group=32)
            net.block(f"{name}/c", width * 2, 1, act="")
            net.add("Eltwise", f"{name}", bottom=[short, net.last])
            net.relu(f"{name}/relu")
    net.pool("pool5", "AVE", 0, 1)
    net.add("InnerProduct", "fc", "inner_product_param { num_output: 1000 }")
    net.add("Softmax", "prob")
    return net.text()


def segnet_basic() -> str:
    """SegNet's basic net: pooling masks, unpooling, BN in INFERENCE mode."""
    net = Net("SegNet basic", 1, 3, 360, 480)
    net.add("LRN", "norm", "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }")
    for i in range(1, 5):
        net.conv(f"conv{i}", 64, 7)
        net.add("BN", f"conv{i}_bn", "bn_param { bn_mode: INFERENCE }", tops=net.last)
        net.relu(f"relu{i}")
        net.pool(f"pool{i}", "MAX", 2, 2, tops=f"pool{i} pool{i}_mask")
    for i, (height, width) in zip(range(4, 0, -1), ((45, 60), (90, 120), (180, 240), (360, 480)), strict=True):
        size = f"upsample_param {{ upsample_h: {height} upsample_w: {width} }}"
        net.add("Upsample", f"upsample{i}", size, bottom=[net.last, f"pool{i}_mask"])
        net.conv(f"conv_decode{i}", 64, 7)
        net.add("BN", f"conv_decode{i}_bn", "bn_param { bn_mode: INFERENCE }", tops=net.last)
    net.conv("conv_classifier", 11, 1)
    net.add("Softmax", "prob")
    return net.text()


def _mtcnn(name: str, size: int, layers: list[tuple[int, int, int]], dense: int, landmarks: bool) -> str:
    net = Net(f"MTCNN {name}", 1, 3, size, size)
    for i, (outputs, kernel, pool) in enumerate(layers, 1):
        net.conv(f"conv{i}", outputs, kernel, pad=0)
        net.relu(f"prelu{i}", "PReLU")
        if pool:
            net.pool(f"pool{i}", "MAX", pool, 2)
    if dense:
        net.add("InnerProduct", "fc", f"inner_product_param {{ num_output: {dense} }}")
        net.relu("prelu_fc", "PReLU")
    shared, outputs = net.last, [("score", 2), ("box", 4)] + [("points", 10)] * landmarks
    for part, count in outputs:
        if dense:
            net.add("InnerProduct", part, f"inner_product_param {{ num_output: {count} }}", bottom=shared)
        else:
            net.conv(part, count, 1, bottom=shared)
    net.add("Softmax", "prob", bottom="score")
    return net.text()


def _ssd_head(net: Net, maps: list[tuple[str, int, list[int], float, float]], classes: int) -> None:
    parts: dict[str, list[str]] = {"loc": [], "conf": [], "priorbox": []}
    for source, step, ratios, low, high in maps:
        many = 1 + (high > 0) + 2 * len(ratios)
        for kind, outputs in (("loc", many * 4), ("conf", many * classes)):
            name = f"{source}_mbox_{kind}"
            net.conv(name, outputs, 3, bottom=source)
            net.add("Permute", f"{name}_perm", "permute_param { order: 0 order: 2 order: 3 order: 1 }")
            parts[kind].append(net.add("Flatten", f"{name}_flat", "flatten_param { axis: 1 }"))
        text = f"min_size: {low:g} " + (f"max_size: {high:g} " if high else "")
        text += " ".join(f"aspect_ratio: {ratio}" for ratio in ratios)
        text += " flip: true clip: false variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2"
        text += f" step: {step} offset: 0.5" if step else " offset: 0.5"
        name = f"{source}_mbox_priorbox"
        parts["priorbox"].append(net.add("PriorBox", name, f"prior_box_param {{ {text} }}", bottom=[source, "data"]))
    for kind, axis in (("loc", 1), ("conf", 1), ("priorbox", 2)):
        net.add("Concat", f"mbox_{kind}", f"concat_param {{ axis: {axis} }}", bottom=parts[kind])
    net.add(
        "Reshape",
        "mbox_conf_reshape",
        f"reshape_param {{ shape {{ dim: 0 dim: -1 dim: {classes} }} }}",
        bottom="mbox_conf",
    )
    net.add("Softmax", "mbox_conf_softmax", "softmax_param { axis: 2 }")
    net.add("Flatten", "mbox_conf_flatten", "flatten_param { axis: 1 }")
    text = (
        f"num_classes: {classes} share_location: true background_label_id: 0 code_type: CENTER_SIZE keep_top_k: 200 "
        "confidence_threshold: 0.01 nms_param { nms_threshold: 0.45 top_k: 400 }"
    )
    net.add("DetectionOutput", "detection_out", f"detection_output_param {{ {text} }}",
            bottom=["mbox_loc", "mbox_conf_flatten", "mbox_priorbox"])  # fmt: skip


def ssd_300() -> str:
    net = Net("SSD-300 (VGG)", 1, 3, 300, 300)
    for stage, (count, outputs) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 1):
        for i in range(1, count + 1):
            net.conv(f"conv{stage}_{i}", outputs, 3)
            net.relu(f"relu{stage}_{i}")
        net.pool(f"pool{stage}", "MAX", *((3, 1, 1) if stage == 5 else (2, 2)))
    net.conv("fc6", 1024, 3, pad=6, extra="dilation: 6")
    net.relu("relu6")
    net.conv("fc7", 1024, 1)
    net.relu("relu7")
    for i, (inner, outputs, stride) in enumerate(((256, 512, 2), (128, 256, 2), (128, 256, 1), (128, 256, 1)), 6):
        net.conv(f"conv{i}_1", inner, 1)
        net.relu(f"conv{i}_1_relu")
        net.conv(f"conv{i}_2", outputs, 3, stride, 1 if stride == 2 else 0)
        net.relu(f"conv{i}_2_relu")
    norm = "norm_param { across_spatial: false channel_shared: false }"
    net.add("Normalize", "conv4_3_norm", norm, bottom="conv4_3")
    maps = [
        ("conv4_3_norm", 8, [2], 30.0, 60.0), ("fc7", 16, [2, 3], 60.0, 111.0), ("conv6_2", 32, [2, 3], 111.0, 162.0),
        ("conv7_2", 64, [2, 3], 162.0, 213.0), ("conv8_2", 100, [2], 213.0, 264.0), ("conv9_2", 300, [2], 264.0, 315.0),
    ]  # fmt: skip
    _ssd_head(net, maps, 21)
    return net.text()


def mobilenet_ssd() -> str:
    net = Net("MobileNet-SSD", 1, 3, 300, 300)
    tops = _mobilenet_body(net)
    sources = [tops[10], tops[12]]
    for i, (inner, outputs) in enumerate(((256, 512), (128, 256), (128, 256), (64, 128)), 14):
        net.block(f"conv{i}_1", inner, 1)
        sources.append(net.block(f"conv{i}_2", outputs, 3, 2))
    sizes = [60, 105, 150, 195, 240, 285, 300]
    maps = [(source, 0, [2] if not i else [2, 3], float(sizes[i]), float(sizes[i + 1]) if i else 0.0)
            for i, source in enumerate(sources)]  # fmt: skip
    _ssd_head(net, maps, 21)
    return net.text()


#: Networks generated here, by name.
GENERATED: dict[str, Callable[[], str]] = {
    "SqueezeNet 1.0": squeezenet_10,
    "MobileNet v1": mobilenet_v1,
    "MobileNet v2": mobilenet_v2,
    "DenseNet-121": densenet_121,
    "ResNeXt-50": resnext_50,
    "SegNet basic": segnet_basic,
    "MTCNN P": lambda: _mtcnn("P", 12, [(10, 3, 2), (16, 3, 0), (32, 3, 0)], 0, False),
    "MTCNN R": lambda: _mtcnn("R", 24, [(28, 3, 3), (48, 3, 3), (64, 2, 0)], 128, False),
    "MTCNN O": lambda: _mtcnn("O", 48, [(32, 3, 3), (64, 3, 3), (64, 3, 2), (128, 2, 0)], 256, True),
    "SSD-300": ssd_300,
    "MobileNet-SSD": mobilenet_ssd,
}

_RAW = "raw.githubusercontent.com"
#: Networks whose published prototxt is read from a folder laid out ``<host>/<path>``; the weights where they are there.
PUBLISHED: dict[str, tuple[str, str]] = {
    "LeNet": (f"{_RAW}/BVLC/caffe/master/examples/mnist/lenet.prototxt",
              "github.com/ARM-software/ML-examples/raw/master/armnn-mnist/model/lenet_iter_9000.caffemodel"),
    "CIFAR-10 full": (f"{_RAW}/BVLC/caffe/master/examples/cifar10/cifar10_full.prototxt",
                      f"{_RAW}/everpeace/caffe/91cb3b5e6fff4994616ada73c68c83801fcfd862/examples/cifar10/"
                      "cifar10_full_iter_60000.caffemodel"),
    "CIFAR-10 quick": (f"{_RAW}/BVLC/caffe/master/examples/cifar10/cifar10_quick.prototxt",
                       f"{_RAW}/everpeace/caffe/91cb3b5e6fff4994616ada73c68c83801fcfd862/examples/cifar10/"
                       "cifar10_quick_iter_5000.caffemodel"),
    "AlexNet": (f"{_RAW}/BVLC/caffe/master/models/bvlc_alexnet/deploy.prototxt", ""),
    "CaffeNet": (f"{_RAW}/BVLC/caffe/master/models/bvlc_reference_caffenet/deploy.prototxt", ""),
    "GoogLeNet": (f"{_RAW}/BVLC/caffe/master/models/bvlc_googlenet/deploy.prototxt", ""),
    "VGG-19": ("gist.githubusercontent.com/ksimonyan/3785162f95cd2d5fee77/raw/f02f8769e64494bcd3d7e97d5d747ac275825721/"
               "VGG_ILSVRC_19_layers_deploy.prototxt", ""),
    "ResNet-50": (f"{_RAW}/KaimingHe/deep-residual-networks/master/prototxt/ResNet-50-deploy.prototxt", ""),
    "Inception-BN": (f"{_RAW}/pertusa/InceptionBN-21K-for-Caffe/master/deploy.prototxt", ""),
    "SqueezeNet 1.1": (f"{_RAW}/DeepScale/SqueezeNet/a47b6f13d30985279789d08053d37013d67d131b/SqueezeNet_v1.1/"
                       "deploy.prototxt", ""),
    "FCN-8s": (f"{_RAW}/opencv/opencv_extra/4.0.1/testdata/dnn/fcn8s-heavy-pascal.prototxt", ""),
    "OpenPose": (f"{_RAW}/opencv/opencv_extra/4.0.1/testdata/dnn/openpose_pose_coco.prototxt", ""),
    "SqueezeDet": (f"{_RAW}/opencv/opencv_contrib/4.0.1/modules/dnn_objdetect/samples/data/SqueezeDet_deploy.prototxt",
                   ""),
    "colorization": (f"{_RAW}/richzhang/colorization/caffe/models/colorization_deploy_v2.prototxt", ""),
    "YOLO v1 tiny": (f"{_RAW}/hojel/caffe-yolo-model/master/prototxt/yolo_tiny_deploy.prototxt", ""),
}  # fmt: skip


def write_weights(structure: Path, output: Path, seed: int = 1) -> None:
    """Write random weights for a prototxt, blob by blob, at a scale that keeps activations near one."""
    import numpy as np

    from modelprep.formats.caffe import phase, prototxt, upgrades
    from modelprep.formats.caffe.shapes.infer import infer
    from modelprep.formats.protowire import bytes_field, bytes_header

    net = prototxt.read_file(structure)
    upgrades.upgrade(net)
    net = phase.filter_net(net)
    random = np.random.default_rng(seed)
    with output.open("wb") as file:
        file.write(bytes_field(1, net.name.encode()))
        for proto, layer in zip(net.layer, infer(net).layers, strict=True):
            shapes: Any = layer.weights
            if proto.type == "BN":
                shapes = ((1, layer.bottoms[0][1], 1, 1),) * 2  # type: ignore[index]
            if not shapes:
                continue
            blobs = [_values(proto, number, shape, random).astype("<f4") for number, shape in enumerate(shapes)]
            names = bytes_field(1, proto.name.encode()) + bytes_field(2, proto.type.encode())
            tails = [bytes_field(7, bytes_field(1, b"".join(_varint(dim) for dim in shape)) if shape else b"")
                     for shape in shapes]  # fmt: skip
            heads = [bytes_header(5, values.nbytes) for values in blobs]
            sizes = [len(h) + v.nbytes + len(t) for h, v, t in zip(heads, blobs, tails, strict=True)]
            file.write(bytes_header(100, len(names) + sum(len(bytes_header(7, s)) + s for s in sizes)) + names)
            for head, values, tail, size in zip(heads, blobs, tails, sizes, strict=True):
                file.write(bytes_header(7, size) + head)
                file.write(values.tobytes())
                file.write(tail)


def _varint(value: int) -> bytes:
    from modelprep.formats.protowire import varint

    return varint(value)


def _values(proto: Any, number: int, shape: Any, random: Any) -> Any:
    import numpy as np

    if proto.type == "BatchNorm":
        return [random.normal(0, 0.1, shape), random.uniform(0.5, 1.5, shape), np.full(shape, 1.0)][number]
    if proto.type in ("Scale", "Normalize", "BN"):
        return random.uniform(0.8, 1.2, shape) if number == 0 else random.normal(0, 0.1, shape)
    if proto.type == "PReLU":
        return random.uniform(0.1, 0.4, shape)
    if number:
        return random.normal(0, 0.05, shape)
    transposed = proto.type == "Deconvolution"
    fan = int(np.prod(shape[1:])) if not transposed else int(np.prod(shape[2:])) * shape[0] / 4
    return random.standard_normal(shape, np.float32) * np.float32((2.0 / fan) ** 0.5)
