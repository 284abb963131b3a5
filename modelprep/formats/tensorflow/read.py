"""Read a graph from a file: a GraphDef, binary or text, or one that is in a MetaGraphDef or SavedModel."""

from __future__ import annotations

from pathlib import Path

from modelprep import quoting
from modelprep.errors import StepError
from modelprep.formats.mapped import MappedFile
from modelprep.formats.tensorflow.graphdef import VARIABLE_OPS, Graph, parse_graph
from modelprep.formats.tensorflow.wrapped import SAVED_MODEL_FILE, Wrapper, text_kind, unwrap

#: What to do with the variables of a SavedModel that TensorFlow 2 wrote: its functions hold them by handles.
TENSORFLOW_2 = (
    "TensorFlow 2 wrote it: modelprep tf to-tflite takes it as it is; "
    "for a frozen graph call convert_variables_to_constants_v2 in Python"
)


def read_graph(path: Path, name: str = "") -> Graph:
    """Read a GraphDef, binary or text, whichever the file is.

    Raises StepError: the file is no GraphDef; a MetaGraphDef and a SavedModel are named; StorageError: it cannot be
    read.
    """
    graph, wrapper = read_any_graph(path, name)
    if wrapper is not None:
        raise StepError(
            f"this is {wrapper.kind}, not a GraphDef", where=graph.name, expected="a GraphDef (.pb, .pbtxt)",
            looks_like=wrapper.kind, hint=way_on(str(file_of(path)), graph, wrapper),
        )  # fmt: skip
    return graph


def way_on(file: str, graph: Graph, wrapper: Wrapper, result: str = "frozen.pb") -> str:
    """Return the command that makes a GraphDef of what a graph is in, values of variables included."""
    operand = quoting.operand(file)
    operations = {node.op for node in graph.nodes}
    if not operations & VARIABLE_OPS:
        return quoting.command("modelprep", "tf", "convert", operand, "-o", result)
    if "VarHandleOp" in operations and "StatefulPartitionedCall" in operations:
        return TENSORFLOW_2
    nodes = [word for name in wrapper.outputs or ("OUTPUT",) for word in ("-n", name)]
    return quoting.command("modelprep", "tf", "freeze", operand, *nodes, "-o", result)


def read_any_graph(path: Path, name: str = "") -> tuple[Graph, Wrapper | None]:
    """Read a graph, whichever way it is kept: a GraphDef, a MetaGraphDef, a SavedModel or its folder.

    Returns the graph, and what it is in (None for a plain GraphDef). Raises StepError: the file holds no graph;
    StorageError: it cannot be read.
    """
    from modelprep.formats.tensorflow.text import looks_like_text, text_to_binary

    path = file_of(path)
    file = MappedFile(path, name)
    head = bytes(file.view[:4096])
    if looks_like_text(head):
        file.close()
        return parse_graph(text_to_binary(path, name), file.name), None
    if kind := text_kind(head):
        raise StepError(
            f"this is {kind} as text", where=file.name, expected="its binary form, or a GraphDef",
            hint="save it again in binary form: as_text=False",
        )  # fmt: skip
    wrapper = unwrap(file.view)
    graph = parse_graph(file.view if wrapper is None else wrapper.graph, file.name)
    graph.file = file
    return graph, wrapper


def file_of(path: Path) -> Path:
    """Return the file to read for a path that may be a SavedModel's folder.

    Raises StepError: it is a folder of another kind.
    """
    if not path.is_dir():
        return path
    inside = path / SAVED_MODEL_FILE
    if inside.is_file():
        return inside
    if (path / "saved_model.pbtxt").is_file():
        return path / "saved_model.pbtxt"
    graphs = sorted(one.name for pattern in ("*.pb", "*.pbtxt", "*.meta") for one in path.glob(pattern))
    raise StepError(
        "this is a folder and no SavedModel",
        where=str(path),
        expected=f"{SAVED_MODEL_FILE} in it, or the path of a graph",
        hint=f"name one of its files: {', '.join(graphs[:6])}" if graphs else None,
    )
