"""TensorFlow's own import of a GraphDef, without its Python package."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed")

#: Prints for a graph that is right, one whose input is missing, one of an unknown operation, text, bytes of nothing.
CODE = """
import sys
from modelprep.check.proof.tensorflow_library import imports
from modelprep.formats.protowire import bytes_field as field

def graph(*nodes):
    return b"".join(field(1, field(1, n) + field(2, op) + b"".join(field(3, i) for i in of)) for n, op, *of in nodes)

print(imports(graph((b"a", b"NoOp"), (b"b", b"NoOp", b"^a"))))
for wrong in (graph((b"b", b"NoOp", b"^gone")), graph((b"a", b"NoSuchThing")), b'node { name: "a" op: "NoOp" }', b""):
    print(imports(wrong))
print("tensorflow" in sys.modules)
"""


def test_a_graph_is_taken_or_refused_by_tensorflow_without_its_python_package() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False", "False", "False", "False"]
