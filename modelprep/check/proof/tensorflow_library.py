"""TensorFlow's own import of a GraphDef, through its C library: its Python package takes seconds to load.

The functions are those of tensorflow/c/c_api.h, which stays as it is from version to version.
"""

from __future__ import annotations

import ctypes
import os
from importlib.util import find_spec
from pathlib import Path

_NAMES = ("libtensorflow_cc.so.2", "libtensorflow_cc.2.dylib")
_POINTER = ctypes.c_void_p


class _Buffer(ctypes.Structure):
    """TF_Buffer of the header: bytes, and who frees them (nobody)."""

    _fields_ = (("data", _POINTER), ("length", ctypes.c_size_t), ("free", _POINTER))


def imports(data: bytes) -> bool:
    """Whether TensorFlow takes a binary GraphDef.

    False says nothing: there may be no such library, it may refuse the graph, or the bytes may be something else.
    """
    spec = find_spec("tensorflow")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or () if spec else ())]
    file = next((folder / name for folder in folders for name in _NAMES if (folder / name).is_file()), None)
    if file is None:
        return False
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        library = ctypes.CDLL(str(file))
        make_graph, make_options, make_status = (
            library[name] for name in ("TF_NewGraph", "TF_NewImportGraphDefOptions", "TF_NewStatus")
        )
        load, code, first = (
            library[name] for name in ("TF_GraphImportGraphDef", "TF_GetCode", "TF_GraphNextOperation")
        )
    except (OSError, AttributeError):  # another build of TensorFlow
        return False
    for function in (make_graph, make_options, make_status, first):
        function.restype = _POINTER
    load.restype, load.argtypes = None, (_POINTER,) * 4
    code.argtypes, first.argtypes = (_POINTER,), (_POINTER, _POINTER)
    graph, options, status = make_graph(), make_options(), make_status()
    load(graph, ctypes.byref(_Buffer(ctypes.cast(ctypes.c_char_p(data), _POINTER), len(data), None)), options, status)
    taken = code(status) == 0 and first(graph, ctypes.byref(ctypes.c_size_t())) is not None
    for pointer, name in ((graph, "Graph"), (options, "ImportGraphDefOptions"), (status, "Status")):
        library[f"TF_Delete{name}"](_POINTER(pointer))
    return taken
