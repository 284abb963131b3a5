"""Layers that bring values into a net, or take them out: Input, Parameter, DummyData, Silence."""

from __future__ import annotations

from modelprep.formats.caffe.to_onnx.layer import Conversion, Layer


def _nothing(layer: Layer) -> None:
    """Add no node: an Input's tops are the graph's inputs, what Silence takes leads nowhere."""
    del layer


def _parameter(layer: Layer) -> None:
    layer.op("Identity", layer.weight(0, "value"), out=layer.tops[0].name)


def _dummy_data(layer: Layer) -> None:
    fillers = list(layer.proto.dummy_data_param.data_filler)
    for i, top in enumerate(layer.tops):
        filler = fillers[i] if len(fillers) > 1 else fillers[0] if fillers else None
        if filler is not None and filler.type != "constant":
            raise layer.refuse("it draws random numbers", got=f"filler '{filler.type}'", expected="a constant filler")
        value = 0.0 if filler is None else float(filler.value)
        shape = layer.integers("shape", [layer.size(top, axis) for axis in range(len(top.shape))])
        layer.op("Expand", layer.number("value", value), shape, out=top.name)


def _continuation(layer: Layer) -> None:
    """Write CRNN's continuation flags: 0 for the first time step, 1 for the others."""
    top = layer.tops[0]
    steps, batch = layer.size(top, 0), layer.size(top, 1)
    flags = layer.floats("flags", [float(i >= batch) for i in range(steps * batch)], (steps, batch))
    layer.op("Identity", flags, out=top.name)


def _alias(layer: Layer) -> None:
    """Name a value; used only where a layer that does nothing has to make a name after all."""
    for top in layer.tops:
        layer.op("Identity", layer.bottoms[0].name, out=top.name)


CONVERSIONS = {
    "Input": Conversion(_nothing, "an input of the graph", "its shape must be written; legacy headers too"),
    "Parameter": Conversion(_parameter, "an initializer"),
    "DummyData": Conversion(_dummy_data, "Expand", "with a constant filler"),
    "ContinuationIndicator": Conversion(_continuation, "an initializer", "CRNN"),
    "Dropout": Conversion(_alias, "nothing"),
    "SpatialDropout": Conversion(_alias, "nothing"),
    "Split": Conversion(_alias, "nothing"),
    "Silence": Conversion(_nothing, "nothing"),
}
