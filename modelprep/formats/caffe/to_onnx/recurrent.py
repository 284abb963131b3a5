"""LSTM and RNN, unrolled over time as Caffe itself unrolls them; ONNX's own LSTM knows no continuation flags."""

from __future__ import annotations

from math import prod

from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer


def _unrolled(layer: Layer) -> None:
    step, gates, states, output_blobs = (_lstm_step, 4, 2, 0) if layer.proto.type == "LSTM" else (_rnn_step, 1, 1, 2)
    p = layer.proto.recurrent_param
    x, flags, *more = layer.bottoms
    steps, batch, hidden = layer.size(x, 0), layer.size(x, 1), int(p.num_output)
    static = more.pop(0) if len(more) in (1, 1 + states) and not (p.expose_hidden and len(more) == states) else None
    expected = 3 + (static is not None) + output_blobs
    if len(layer.blobs) != expected:
        raise layer.refuse("it has a wrong number of weights", expected=str(expected), got=str(len(layer.blobs)))
    width = prod(layer.size(x, i) for i in range(2, len(x.shape)))
    # The input's part of all gates at once, over (time * batch) rows.
    rows = layer.op("Reshape", x.name, layer.integers("rows", [steps * batch, width]), part="rows_of_x")
    projected = layer.op("Gemm", rows, layer.weight(0, "W_x"), layer.weight(1, "b"), part="x_transform", transB=1)
    shape = layer.integers("gates", [steps, batch, gates * hidden])
    projected = layer.op("Reshape", projected, shape, part="x_gates")
    if static is not None:
        flat = layer.op("Flatten", static.name, part="x_static", axis=1)
        added = layer.op("Gemm", flat, layer.weight(2, "W_static"), part="static_transform", transB=1)
        projected = layer.op("Add", projected, added, part="with_static")
    if p.expose_hidden:
        state = [layer.over("Squeeze", value.name, [0], part=f"initial_{i}") for i, value in enumerate(more)]
    else:
        zeros = layer.floats("initial", [0.0] * (batch * hidden), (batch, hidden))
        state = [zeros] * states
        layer.warnings.append(
            f"layer '{layer.name}': Caffe carries its hidden state over from one call to the next, an ONNX model "
            "begins each call with zeros; both are the same where the first continuation flags are 0"
        )
    outputs = []
    for t in range(steps):
        at = layer.integers(f"time{t}", [t])
        flag = layer.op("Gather", flags.name, at, part=f"flag{t}", axis=0)
        flag = layer.op("Transpose", flag, part=f"cont{t}", perm=[1, 0])
        mine = layer.over("Squeeze", layer.op("Gather", projected, at, part=f"x{t}_", axis=0), [0], part=f"x{t}")
        continued = [layer.op("Mul", value, flag, part=f"continued{t}_{i}") for i, value in enumerate(state)]
        output, state = step(layer, t, mine, continued)
        outputs.append(layer.over("Unsqueeze", output, [0], part=f"output{t}"))
    layer.op("Concat", *outputs, out=layer.y, axis=0)
    for value, top in zip(state, layer.tops[1:], strict=False):
        layer.over("Unsqueeze", value, [0], out=top.name, part="final")


def _lstm_step(layer: Layer, t: int, x: str, states: list[str]) -> tuple[str, list[str]]:
    """Take one step: gates in the order input, forget, output, candidate."""
    h, c = states
    hidden = int(layer.proto.recurrent_param.num_output)
    recurrent = layer.weight(len(layer.blobs) - 1, "W_h")
    gates = layer.op("Add", x, layer.op("Gemm", h, recurrent, part=f"h_transform{t}", transB=1), part=f"gates{t}")
    parts = [
        layer.slice(gates, [1], [i * hidden], [(i + 1) * hidden], part=f"gate{t}_{name}")
        for i, name in enumerate("ifog")
    ]
    i, f, o = (layer.op("Sigmoid", part, part=f"{name}{t}") for part, name in zip(parts[:3], "ifo", strict=True))
    g = layer.op("Tanh", parts[3], part=f"g{t}")
    kept = layer.op("Mul", f, c, part=f"kept{t}")
    cell = layer.op("Add", kept, layer.op("Mul", i, g, part=f"new{t}"), part=f"c{t}")
    output = layer.op("Mul", o, layer.op("Tanh", cell, part=f"tanh_c{t}"), part=f"h{t}")
    return output, [output, cell]


def _rnn_step(layer: Layer, t: int, x: str, states: list[str]) -> tuple[str, list[str]]:
    first = len(layer.blobs) - 3
    recurrent = layer.op("Gemm", states[0], layer.weight(first, "W_hh"), part=f"h_transform{t}", transB=1)
    h = layer.op("Tanh", layer.op("Add", x, recurrent, part=f"sum{t}"), part=f"h{t}")
    o = layer.op("Gemm", h, layer.weight(first + 1, "W_ho"), layer.weight(first + 2, "b_o"), part=f"o{t}_", transB=1)
    return layer.op("Tanh", o, part=f"o{t}"), [h]


_NOTES = "unrolled over time; continuation flags; a static input; `expose_hidden`. A call begins with a state of zeros"
CONVERSIONS = {
    "LSTM": Conversion(_unrolled, "Gemm, Sigmoid, Tanh, Mul, Add for each time step", _NOTES),
    "RNN": Conversion(_unrolled, "Gemm, Tanh, Add for each time step", _NOTES),
}
