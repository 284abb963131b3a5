"""A VGG-19 of its true size with random weights, as a prototxt and a caffemodel."""

from __future__ import annotations

import random
import sys
from array import array
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

#: (name, output channels); VGG-19 of Simonyan and Zisserman, configuration E.
CONVOLUTIONS = [
    ("conv1_1", 64), ("conv1_2", 64), None,
    ("conv2_1", 128), ("conv2_2", 128), None,
    ("conv3_1", 256), ("conv3_2", 256), ("conv3_3", 256), ("conv3_4", 256), None,
    ("conv4_1", 512), ("conv4_2", 512), ("conv4_3", 512), ("conv4_4", 512), None,
    ("conv5_1", 512), ("conv5_2", 512), ("conv5_3", 512), ("conv5_4", 512), None,
]  # fmt: skip
DENSE = [("fc6", 4096), ("fc7", 4096), ("fc8", 1000)]


def prototxt() -> str:
    """Return the net in V1 syntax with a legacy header, as its authors published it."""
    lines = ['name: "VGG-19"', 'input: "data"', "input_dim: 10", "input_dim: 3", "input_dim: 224", "input_dim: 224"]
    bottom, stage = "data", 1
    for item in CONVOLUTIONS:
        if item is None:
            name = f"pool{stage}"
            pooling = "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"
            lines.append(f'layers {{ bottom: "{bottom}" top: "{name}" name: "{name}" type: POOLING {pooling} }}')
            bottom, stage = name, stage + 1
            continue
        name, channels = item
        convolution = f"convolution_param {{ num_output: {channels} pad: 1 kernel_size: 3 }}"
        lines.append(f'layers {{ bottom: "{bottom}" top: "{name}" name: "{name}" type: CONVOLUTION {convolution} }}')
        lines.append(f'layers {{ bottom: "{name}" top: "{name}" name: "relu_{name}" type: RELU }}')
        bottom = name
    for name, outputs in DENSE:
        dense = f"inner_product_param {{ num_output: {outputs} }}"
        lines.append(f'layers {{ bottom: "{bottom}" top: "{name}" name: "{name}" type: INNER_PRODUCT {dense} }}')
        bottom = name
    lines.append(f'layers {{ bottom: "{bottom}" top: "prob" name: "prob" type: SOFTMAX }}')
    return "\n".join(lines)


def blobs() -> list[tuple[str, tuple[int, ...]]]:
    """Return layer names and weight shapes."""
    found: list[tuple[str, tuple[int, ...]]] = []
    channels, inputs = 3, 512 * 7 * 7
    for item in CONVOLUTIONS:
        if item is not None:
            found.append((item[0], (item[1], channels, 3, 3)))
            channels = item[1]
    for name, outputs in DENSE:
        found.append((name, (1, 1, outputs, inputs)))
        inputs = outputs
    return found


def write_weights(path: Path) -> None:
    """Write the weights as V1 layers with legacy shapes: 575 MB of ordinary floats."""
    from modelprep.formats.protowire import varint

    source = random.Random(19)
    pool = array("f", (source.gauss(0, 0.01) for _ in range(1 << 18))).tobytes()

    def field(number: int, body: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(body)) + body

    with path.open("wb") as file:
        file.write(field(1, b"VGG-19"))
        for name, shape in blobs():
            outputs = shape[2] if shape[:2] == (1, 1) else shape[0]
            bodies = []
            for dims in (shape, (1, 1, 1, outputs)):
                count = dims[0] * dims[1] * dims[2] * dims[3]
                head = b"".join(varint(i << 3) + varint(d) for i, d in enumerate(dims, 1))
                bodies.append((head + varint(5 << 3 | 2) + varint(4 * count), 4 * count))
            start = field(4, name.encode())
            sizes = [len(head) + size for head, size in bodies]
            file.write(varint(2 << 3 | 2) + varint(len(start) + sum(1 + len(varint(s)) + s for s in sizes)) + start)
            for (head, size), total in zip(bodies, sizes, strict=True):
                file.write(varint(6 << 3 | 2) + varint(total) + head)
                for offset in range(0, size, len(pool)):
                    file.write(pool[: size - offset])
