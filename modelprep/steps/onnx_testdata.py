"""``onnx.testdata``: a model with its test sets, in the layout of onnx_test_runner, with every pair checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelprep.errors import StepError
from modelprep.steps import Call, Exempt, Facts, Param, Step

_MEMBER = re.compile(r"(?P<set>test_data_set_\d+)/(?P<kind>input|output)_(?P<index>\d{1,4})\.pb\Z")
_NUMBER = re.compile(r"\d+")


def plan(names: list[str], model: str | None, where: str) -> dict[str, str]:
    """Decide which members of an archive go where: the model, and the test sets of its folder.

    `model`: the model's path in the archive; None: its only model. Returns member -> path below the result:
    ``model.onnx``, ``test_data_set_0/input_0.pb``, ... Raises StepError: no model or several, no test set, a set with a
    gap.
    """
    models = [name for name in names if name.endswith(".onnx") and not Path(name).name.startswith("._")]
    if model is not None:
        models = [name for name in models if name == model]
    if len(models) != 1:
        raise StepError(
            "the archive must contain one ONNX model" if model is None else f"the archive does not contain {model}",
            where=where, got=", ".join(name for name in names if name.endswith(".onnx")) or "no .onnx file",
        )  # fmt: skip
    folder = models[0].rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    wanted = {models[0]: "model.onnx"}
    sets: dict[str, dict[str, set[int]]] = {}
    for name in names:
        found = _MEMBER.fullmatch(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if found is not None:
            wanted[name] = name.removeprefix(prefix)
            sets.setdefault(found["set"], {"input": set(), "output": set()})[found["kind"]].add(int(found["index"]))
    if not sets:
        raise StepError(
            "the archive has no test set beside the model", where=where,
            expected=f"{prefix}test_data_set_0/input_0.pb and output_0.pb", got=f"{len(names)} other files",
        )  # fmt: skip
    for name, kinds in sorted(sets.items()):
        for kind, numbers in kinds.items():
            if numbers != set(range(len(numbers))) or not numbers:
                raise StepError(
                    f"{name} is incomplete", where=where, expected=f"{kind}_0.pb and so on without a gap",
                    got=", ".join(f"{kind}_{n}.pb" for n in sorted(numbers)) or "none",
                )  # fmt: skip
    return wanted


def _run(call: Call) -> Facts:
    from modelprep.formats.archive import members as archive
    from modelprep.formats.onnx.model import guarded, read_header

    source = call.params["archive"]
    wanted = plan([name for name, _ in archive.members(source)], call.params["model"], str(source))
    targets = {member: call.output / name for member, name in wanted.items()}
    for path in targets.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    archive.extract_members(source, targets, progress=call.progress)
    model = read_header(call.output / "model.onnx")
    sets = sorted({name.partition("/")[0] for name in wanted.values() if "/" in name}, key=_natural)
    if call.params["sets"] is not None and len(sets) != call.params["sets"]:
        raise StepError(
            "the archive has another number of test sets", where=str(source), expected=str(call.params["sets"]),
            got=f"{len(sets)}: {', '.join(sets)}",
        )  # fmt: skip
    with guarded(str(source)):
        for name in sets:
            for kind, values in (("input", model.inputs()), ("output", list(model.graph.output))):
                files = sorted((call.output / name).glob(f"{kind}_*.pb"), key=lambda path: _natural(path.name))
                if len(files) != len(values):
                    raise StepError(
                        f"{name} does not fit the model", where=str(source), expected=f"{len(values)} {kind}s",
                        got=f"{len(files)} files",
                    )  # fmt: skip
                for path, value in zip(files, values, strict=True):
                    check_tensor(path, value, f"{name}/{path.name}", {v.name: v for v in values})
    return {"sets": len(sets), "files": len(wanted)}


def _natural(name: str) -> int:
    return int((_NUMBER.search(name) or [0])[0])


def check_tensor(path: Path, value: Any, where: str, named: Mapping[str, Any]) -> None:
    """Raise StepError if a file is not one whole tensor of the type and shape of the model's input or output.

    `path`: a serialised TensorProto. `value`: the model's ValueInfoProto at that place. `named`: all inputs (or
    outputs) by name: a tensor with one of these names belongs to it, whatever its place.
    """
    from modelprep.formats.onnx.inspect import shape
    from modelprep.formats.onnx.model import TYPES, guarded, messages

    tensor = messages("TensorProto")()
    data = path.read_bytes()
    with guarded(where, memoryview(data)):
        tensor.ParseFromString(data)
        value = named.get(tensor.name, value)
    kind = value.type.tensor_type
    if tensor.data_type != kind.elem_type:
        raise StepError(
            "a test tensor has another type than the model expects", where=where,
            expected=f"{TYPES.get(kind.elem_type, '?')} for {value.name}", got=TYPES.get(tensor.data_type, "?"),
        )  # fmt: skip
    wanted = shape(value)
    dims = [int(dim) for dim in tensor.dims]
    fits = len(dims) == len(wanted) and all(
        not isinstance(want, int) or want <= 0 or want == dim for want, dim in zip(wanted, dims, strict=False)
    )
    if kind.HasField("shape") and not fits:
        raise StepError(
            "a test tensor has another shape than the model expects", where=where,
            expected=f"{value.name} {'x'.join(str(d) for d in wanted)}", got="x".join(map(str, dims)) or "a scalar",
        )  # fmt: skip
    missing = lacking(tensor)
    if missing:
        raise StepError("a test tensor is incomplete", where=where, got=missing)


def lacking(tensor: Any) -> str:
    """Return what a tensor's data lack for its dimensions; an empty string if they fit."""
    from modelprep.formats.onnx.model import elements

    # Bytes an element takes in raw_data, by type; other types (strings, packed 4-bit) are not counted.
    widths = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
    fields = {1: "float_data", 6: "int32_data", 7: "int64_data", 11: "double_data"}
    if any(dim < 0 for dim in tensor.dims):
        return "a negative dimension"
    count = elements(tensor)
    if tensor.HasField("raw_data"):
        width = widths.get(tensor.data_type)
        if width is not None and len(tensor.raw_data) != count * width:
            return f"{len(tensor.raw_data)} bytes for {count} elements of {width}"
    elif tensor.data_type in fields:
        held = len(getattr(tensor, fields[tensor.data_type]))
        if held != count:
            return f"{held} elements of {count}"
    return ""


STEP = Step(
    name="onnx.testdata",
    version=1,
    summary="unpack a model and its test sets from an archive for onnx_test_runner, and check every pair",
    example="squeezenet.tar.gz -o squeezenet/",
    params={
        "archive": Param("file", "the archive with the model and its test_data_set_* folders", required=True),
        "model": Param("str", "the model's path in the archive, if there are several"),
        "sets": Param("int", "required number of test sets"),
    },
    run=_run,
    proof=Exempt("it unpacks a model and its test sets, bytes unchanged"),
    produces="folder",
)
