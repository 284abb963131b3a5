"""Quantize a TF Lite model with ai-edge-quantizer, and run both models; a script for the interpreter that has it.

It does not import modelprep, which that interpreter may not have. ``python -c SOURCE REQUEST.json`` writes the model
and what both compute to the files that the request names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(request: dict[str, Any]) -> None:
    """Quantize ``model`` to ``output`` and save what both models compute to ``answers``."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-not-found, unused-ignore]
    from ai_edge_quantizer import quantizer, recipe  # type: ignore[import-not-found, unused-ignore]

    signed(request["model"])
    original = Interpreter(model_path=request["model"], num_threads=1)
    takes = original.get_input_details()
    with np.load(request["samples"]) as rows:
        fed = [list(one) for one in zip(*(rows[f"arr_{n}"] for n in range(len(takes))), strict=True)]
    made = quantizer.Quantizer(request["model"])
    made.load_quantization_recipe(getattr(recipe, request["recipe"])())
    found = None
    if made.need_calibration:
        key = next(iter(original.get_signature_list()))
        runner = original.get_signature_runner(key).get_input_details()
        names = [next(name for name, each in runner.items() if each["index"] == one["index"]) for one in takes]
        found = made.calibrate({key: [dict(zip(names, one, strict=True)) for one in fed]}, num_threads=1)
    made.quantize(found).export_model(request["output"], overwrite=True)
    answers = {}
    for side, path in (("b", request["model"]), ("a", request["output"])):
        outputs = run(Interpreter(model_path=path, num_threads=1), fed)
        answers.update({f"{side}{n}": each for n, each in enumerate(outputs)})
    np.savez(request["answers"], **answers)


def signed(path: str) -> None:
    """Add a signature to a model, which calibration needs; converters from before 2021 wrote none."""
    from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-not-found, unused-ignore]
    from ai_edge_litert.tools import flatbuffer_utils  # type: ignore[import-not-found, unused-ignore]

    model = flatbuffer_utils.read_model(path)
    if model.signatureDefs:
        return
    signature, graph = schema.SignatureDefT(), model.subgraphs[0]
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0

    def mapped(index: Any) -> Any:
        one = schema.TensorMapT()
        one.name, one.tensorIndex = graph.tensors[index].name.decode("utf-8", "replace"), int(index)
        return one

    signature.inputs, signature.outputs = [*map(mapped, graph.inputs)], [*map(mapped, graph.outputs)]
    model.signatureDefs = [signature]
    flatbuffer_utils.write_model(model, path)


def run(runtime: Any, fed: list[list[Any]], takes: Any = None, gives: Any = None) -> list[Any]:
    """Run a model on all inputs; return one array of real values per output, whose first axis counts the inputs.

    `takes`, `gives`: its inputs and outputs in the requested order; default: its own.
    """
    import numpy as np

    runtime.allocate_tensors()
    takes, gives = takes or runtime.get_input_details(), gives or runtime.get_output_details()
    rows = []
    for one in fed:
        for detail, value in zip(takes, one, strict=True):
            scale, zero = detail["quantization"]
            if scale and np.issubdtype(detail["dtype"], np.integer):
                limits = np.iinfo(detail["dtype"])
                value = np.clip(np.rint(value / scale) + zero, limits.min, limits.max)
            runtime.set_tensor(detail["index"], value.astype(detail["dtype"]))
        runtime.invoke()
        row = []
        for detail in gives:
            value, (scale, zero) = runtime.get_tensor(detail["index"]), detail["quantization"]
            row.append((value.astype(np.float32) - zero) * scale if scale else np.array(value))
        rows.append(row)
    return columns(rows)


def columns(rows: list[list[Any]]) -> list[Any]:
    """Return one array per output from the outputs of each input."""
    import numpy as np

    return [np.stack([row[n] for row in rows]) for n in range(len(rows[0]))] if rows else []


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text("utf-8")))
