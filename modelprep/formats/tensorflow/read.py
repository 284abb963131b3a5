"""Read a GraphDef file, binary or text."""

from __future__ import annotations

from pathlib import Path

from modelprep.formats.mapped import MappedFile
from modelprep.formats.tensorflow.graphdef import Graph, parse_graph


def read_graph(path: Path, name: str = "") -> Graph:
    """Read a GraphDef, binary or text, whichever the file is.

    Raises
    ------
    StepError
        The file is no GraphDef.
    StorageError
        It cannot be read.
    """
    from modelprep.formats.tensorflow.text import looks_like_text, text_to_binary

    file = MappedFile(path, name)
    if looks_like_text(bytes(file.view[:4096])):
        file.close()
        return parse_graph(text_to_binary(path, name), file.name)
    graph = parse_graph(file.view, file.name)
    graph.file = file
    return graph
