"""Small Caffe nets: a prototxt, and a caffemodel with seeded weights for every layer of it."""

from __future__ import annotations

from random import Random
from typing import Any

from modelprep.formats.caffe import messages, prepare, prototxt
from modelprep.formats.caffe.shapes import infer


def layer(name: str, type_: str, bottom: str, top: str = "", parameters: str = "") -> str:
    """Write a layer; its top has its name where none is given, a bottom of several is separated by blanks."""
    bottoms = "".join(f'  bottom: "{each}"\n' for each in bottom.split())
    return f'layer {{\n  name: "{name}"\n  type: "{type_}"\n{bottoms}  top: "{top or name}"\n{parameters}}}\n'


def convolution(name: str, bottom: str, outputs: int, kernel: int, stride: int = 1, pad: int = 0) -> str:
    """Write a convolution."""
    more = f" stride: {stride}" * (stride > 1) + f" pad: {pad}" * (pad > 0)
    text = f"  convolution_param {{ num_output: {outputs} kernel_size: {kernel}{more} }}\n"
    return layer(name, "Convolution", bottom, parameters=text)


def pooling(name: str, bottom: str, kernel: int, kind: str = "MAX") -> str:
    """Write a pooling of squares side by side; a kernel of 0 takes the whole picture."""
    window = f"kernel_size: {kernel} stride: {kernel}" if kernel else "global_pooling: true"
    return layer(name, "Pooling", bottom, parameters=f"  pooling_param {{ pool: {kind} {window} }}\n")


def dense(name: str, bottom: str, outputs: int) -> str:
    """Write a fully-connected layer."""
    return layer(name, "InnerProduct", bottom, parameters=f"  inner_product_param {{ num_output: {outputs} }}\n")


def given(name: str, *shape: int) -> str:
    """Write an input layer."""
    dims = " ".join(f"dim: {size}" for size in shape)
    return f'layer {{\n  name: "{name}"\n  type: "Input"\n  top: "{name}"\n  input_param {{ shape {{ {dims} }} }}\n}}\n'


def legacy_input(name: str, *shape: int) -> str:
    """Write the header by which older nets declare their input."""
    return f'input: "{name}"\n' + "".join(f"input_dim: {size}\n" for size in shape)


def weights(text: str, *, v1: bool = False, own_input: str = "") -> bytes:
    """Make the caffemodel of a net: its layers, each with blobs of small seeded numbers.

    `text`: the prototxt. `v1`: true for the form that Caffe wrote until 2014, which Arm NN does not read: `layers`,
    blobs of four dimensions. `own_input`: name of a net-level input without dimensions, as ResNet-50's file has, in
    place of the input layer.
    """
    net = prepare.prepare(prototxt.read(text, origin="stand-in"))
    known = {each.name: each for each in infer.infer(net).layers}
    out = messages.new("NetParameter")
    out.name = net.name or "stand-in"
    if own_input:
        out.input.append(own_input)
    for each in net.layer:
        if each.type == "Input" and (own_input or v1):
            continue
        target = out.layers.add() if v1 else out.layer.add()
        if v1:
            _as_v1(each, target)
        else:
            target.CopyFrom(each)
        for number, shape in enumerate(known[each.name].weights or ()):
            dims = [int(size or 1) for size in shape or ()]
            _fill(target.blobs.add(), dims, f"{each.name} {number}", each.type, number, v1=v1)
    return bytes(out.SerializeToString(deterministic=True))


_V1_TYPES = {
    "Convolution": "CONVOLUTION", "InnerProduct": "INNER_PRODUCT", "Pooling": "POOLING", "ReLU": "RELU", "LRN": "LRN",
    "Dropout": "DROPOUT", "Softmax": "SOFTMAX",
}  # fmt: skip


def _as_v1(each: Any, target: Any) -> None:
    target.name = each.name
    names = target.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_name
    target.type = names[_V1_TYPES[each.type]].number
    target.bottom.extend(each.bottom)
    target.top.extend(each.top)


def _fill(blob: Any, dims: list[int], seed: str, type_: str, number: int, *, v1: bool) -> None:
    count = 1
    for size in dims:
        count *= size
    if v1:
        # Four dimensions, padded with ones in front: a bias of ten is 1x1x1x10.
        blob.num, blob.channels, blob.height, blob.width = [1] * (4 - len(dims)) + dims
    else:
        blob.shape.dim.extend(dims)
    if type_ == "BatchNorm":
        blob.data.extend([[0.0], [1.0], [1.0]][number] * count)
    elif type_ == "Scale":
        blob.data.extend([[1.0], [0.0]][number] * count)
    else:
        random = Random(f"caffe {seed}")
        # Powers of two are exact, and with as many inputs as there are no sum grows; a table of 61 is drawn, so that
        # big layers cost no time.
        step = 2.0 ** -(count // max(dims[0], 1)).bit_length()
        table = [(int(random.random() * 31) - 11) / 4 * step for _ in range(61)]
        blob.data.extend((table * (count // len(table) + 1))[:count])
