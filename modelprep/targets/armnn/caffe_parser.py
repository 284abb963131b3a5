"""A simulation of Arm NN's Caffe parser: the layers that an output needs, in the parser's order.

Source: ``src/armnnCaffeParser/{RecordByRecordCaffeParser,CaffeParser}.cpp`` at tag v19.02. What the parser does not
read (axes, dilations, coefficients, bytes behind the last layer) is not read here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelprep.formats.protowire import Buffer
from modelprep.targets.armnn.caffe_layer import LayerMessage, read_layer
from modelprep.targets.armnn.caffe_records import Record, chain_in_place, records
from modelprep.targets.armnn.network import Info, Network, Shape, Slot, Stop, topological

if TYPE_CHECKING:
    from modelprep.formats.mapped import MappedFile


Operator = Callable[["CaffeParser", LayerMessage], None]


class CaffeParser:
    """One file on its way to a network."""

    def __init__(
        self, shapes: Mapping[str, Sequence[int]], outputs: Sequence[str], operators: Mapping[str, Operator]
    ) -> None:
        self._operators = operators
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.asked = list(outputs)
        self.network = Network()
        self._makers: dict[str, Record] = {}
        self._slots: dict[str, Slot] = {}
        #: Kept so that the views into it stay valid.
        self.file: MappedFile | None = None

    def parse_file(self, path: Path) -> Network:
        """Read a file that exists; raises Stop if the parser refuses it, or crashes."""
        from modelprep.formats.mapped import MappedFile

        if path.stat().st_size == 0:
            return self.parse(b"")
        self.file = MappedFile(path)
        return self.parse(self.file.view)

    def parse(self, data: Buffer) -> Network:
        """Read the bytes of a file."""
        layers, inputs = records(data)
        if inputs:
            layers.append(Record(0, 0, inputs[0], "Input", [inputs[0]]))
        chain_in_place(layers)
        for record in layers:
            for top in record.tops:
                self._makers[top] = record
        targets = []
        for name in self.asked:
            if name not in self._makers:
                raise Stop(f"Couldn't find requested output layer '{name}' in graph", "CF02", f"output '{name}'")
            targets.append(self._makers[name])
        ordered = topological(targets, self._takes)
        if ordered is None:
            raise Stop("Cycle detected in graph", "CF07", "net")
        for record in ordered:
            self._parse(data, record)
        for name in self.asked:
            self._bind_output(name)
        return self.network

    def _takes(self, record: Record) -> list[Record]:
        found = []
        for bottom in record.bottoms:
            if bottom not in self._makers:
                raise Stop(f"Can't find Caffe layer with top called '{bottom}', which is listed as an input of "
                           f"'{record.name}'", "CF07", record.name)  # fmt: skip
            found.append(self._makers[bottom])
        return found

    def _parse(self, data: Buffer, record: Record) -> None:
        if not record.size and not record.start and record.kind == "Input":
            layer = LayerMessage(record.name, "Input", list(record.tops), [])
        else:
            layer = read_layer(data, record)
        operator = self._operators.get(layer.kind)
        if operator is None:
            raise Stop(f"Unsupported layer type '{layer.kind}'", "CF05", layer.name)
        try:
            operator(self, layer)
        except Stop as stop:
            stop.where = stop.where or layer.name
            raise

    def _bind_output(self, name: str) -> None:
        slot = self.slot(name)
        number = len(self.network.outputs)
        layer = self.network.add("Output", name, outputs=0, id=number)
        slot.connect(layer)
        if name in self.network.outputs:
            raise Stop(f"Id {number} used by more than one {name} layer", "C4", name)
        self.network.outputs[name] = (number, slot.noted)

    # -- for the operators ---------------------------------------------------------------------------------------

    def slot(self, top: str) -> Slot:
        """Return what makes a blob."""
        if top not in self._slots:
            raise Stop(f"Could not find armnn output slot for Caffe top '{top}'", "CF07")
        return self._slots[top]

    def set_slot(self, top: str, slot: Slot) -> None:
        """Note what makes a blob."""
        if top in self._slots:
            raise Stop(f"Attempting to add duplicate entry for Caffe top '{top}'", "CF19")
        self._slots[top] = slot

    def add(self, layer: LayerMessage, kind: str, shape: Shape, **params: Any) -> None:
        """Add a layer, connect it to its bottoms, and note what it makes."""
        made = self.network.add(kind, layer.name, **params)
        for index, bottom in enumerate(layer.bottoms):
            self.slot(bottom).connect(made, index)
        made.out.info = Info(shape)
        self.set_slot(layer.tops[0], made.out)
