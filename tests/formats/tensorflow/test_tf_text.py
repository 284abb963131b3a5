"""Text GraphDefs: to binary and back, streaming, with line and column."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelprep.errors import ModelprepError, StepError
from modelprep.formats.tensorflow.graphdef import parse_graph
from modelprep.formats.tensorflow.messages import message
from modelprep.formats.tensorflow.read import read_graph
from modelprep.formats.tensorflow.text import graph_to_text, looks_like_text, text_to_binary
from modelprep.steps import Call, find

SMALL = """\
# a graph
node {
  name: "a{}<>" # a brace } here
  op: 'Const'
  attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 2 } }
    float_val: 1.5 float_val: -inf } } }
  attr < key: "s" value { s: "quote \\" and \\\\" 'joined' } >
};
versions { producer: 27 }
"""
ARM = "raw.githubusercontent.com/ARM-software/"


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "graph.pbtxt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_text_parses_to_what_protobuf_makes_of_the_whole(tmp_path: Path) -> None:
    graph = message("GraphDef")
    ours = graph.FromString(text_to_binary(write(tmp_path, SMALL)))
    assert ours == text_format.Parse(SMALL, graph())
    assert ours.node[0].name == "a{}<>"
    node = read_graph(tmp_path / "graph.pbtxt").nodes[0]
    assert node.string("s") == b'quote " and \\joined'


@pytest.mark.parametrize(
    ("file", "nodes"),
    [
        ("ML-examples/master/armnn-mnist/model/simple_mnist_tf.prototxt", 6),
        ("armnn/v18.02/tests/TfCifar10-Armnn/cifar10_tf.prototxt", 36),
    ],
)
def test_the_graphs_of_arms_examples_round_trip_to_the_same_message(
    upstream: Path, tmp_path: Path, file: str, nodes: int
) -> None:
    source = upstream / ARM / file
    if not source.is_file():
        pytest.skip("this upstream file is not on this machine")
    step = find("tf.convert")
    facts = step.run(Call({"graph": source, "to": "binary"}, tmp_path / "binary"))
    assert facts is not None
    assert facts["from"] == "text"
    step.run(Call({"graph": tmp_path / "binary", "to": "text"}, tmp_path / "text"))
    step.run(Call({"graph": tmp_path / "text", "to": "binary"}, tmp_path / "again"))
    graph = message("GraphDef")
    original = text_format.Parse(source.read_text(), graph())
    assert graph.FromString((tmp_path / "binary").read_bytes()) == original
    assert text_format.Parse((tmp_path / "text").read_text(), graph()) == original
    assert (tmp_path / "again").read_bytes() == (tmp_path / "binary").read_bytes()
    assert len(original.node) == nodes


def test_arms_text_graph_is_the_message_of_its_binary_twin(upstream: Path) -> None:
    folder = upstream / ARM / "ML-examples/master/armnn-mnist/model"
    if not (folder / "simple_mnist_tf.pb").is_file():
        pytest.skip("this upstream file is not on this machine")
    graph = message("GraphDef")
    ours = graph.FromString(text_to_binary(folder / "simple_mnist_tf.prototxt"))
    assert ours.node == graph.FromString((folder / "simple_mnist_tf.pb").read_bytes()).node


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('node { name: "a" }\nnode {\n  nam: "b"\n}\n', ":3:", "nam"),
        ('node { name: "a" }\n\n  node { name: 5 }', ":3:", "Expected string"),
        ('node {\n name: "a"\n', ":3:1", "ends inside"),
        ('node { name: "a" } }\n', ":1:20", "closes nothing"),
        ('node {\n  name: "a\n"}', ":2:9", "has no end"),
        ("node { " * 200, ":1:", "nested too deeply"),
        (b'node { name: "\xff" }', "offset 14", "UTF-8"),
        ('node { name: "a" }; versions { producer: "x" }', ":1:42", "Couldn't parse"),
        ("node { name: 'a' op: 'b' attr { key: 'x' value { type: DT_NOTHING } } }", ":1:", "DT_NOTHING"),
    ],
)
def test_bad_text_is_an_error_with_line_and_column(tmp_path: Path, text: str | bytes, where: str, what: str) -> None:
    with pytest.raises(StepError) as caught:
        read_graph(write(tmp_path, text))
    assert where in (caught.value.where or "")
    assert what in str(caught.value)


scalars = st.one_of(
    st.builds(lambda v: {"i": v}, st.integers(-(1 << 63), (1 << 63) - 1)),
    st.builds(lambda v: {"f": v}, st.floats(width=32, allow_nan=False)),
    st.builds(lambda v: {"s": v}, st.binary(max_size=40)),
    st.builds(lambda v: {"b": v}, st.booleans()),
    st.builds(lambda v: {"type": v}, st.sampled_from([1, 3, 7, 101])),
    st.builds(lambda v: {"placeholder": v}, st.text(max_size=10)),
    st.builds(lambda v: {"shape": {"dim": [{"size": n} for n in v]}}, st.lists(st.integers(-1, 1 << 40), max_size=3)),
    st.builds(lambda v: {"list": {"s": v}}, st.lists(st.binary(max_size=5), max_size=3)),
    st.builds(
        lambda v: {"tensor": {"dtype": 1, "tensor_content": v}},
        st.binary(max_size=64),
    ),
)
nodes = st.builds(
    lambda name, op, inputs, device, attrs: {"name": name, "op": op, "input": inputs, "device": device, "attr": attrs},
    st.text(min_size=1, max_size=12),
    st.text(min_size=1, max_size=8),
    st.lists(st.text(max_size=8), max_size=3),
    st.text(max_size=5),
    st.dictionaries(st.text(max_size=6), scalars, max_size=3),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(nodes, min_size=1, max_size=4), st.integers(0, 100))
def test_any_graph_goes_to_text_and_back(tmp_path: Path, found: list[dict[str, object]], producer: int) -> None:
    graph = message("GraphDef")(node=found, versions={"producer": producer})
    binary = graph.SerializeToString()
    assert (
        b"".join(encoded(binary)) == graph.SerializeToString(deterministic=True) or len(found) > 1 or found[0]["attr"]
    )
    text = b"".join(graph_to_text(parse_graph(binary)))
    assert message("GraphDef").FromString(text_to_binary(write(tmp_path, text))) == graph


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(min_size=1, max_size=300), st.integers(20, 60), st.sampled_from(["s", "content", "input", "name", "list"])
)
def test_long_strings_are_the_bytes_that_protobuf_reads(tmp_path: Path, part: bytes, times: int, place: str) -> None:
    from google.protobuf import text_encoding

    value = part * times
    literal = text_encoding.CEscape(value, as_utf8=False)
    name = "n" * 5000
    fields = {
        "s": f'attr {{ key: "k" value {{ s: "{literal}" }} }}',
        "list": f'attr {{ key: "k" value {{ list {{ s: "a" s: "{literal}" s: "b" "{literal}" }} }} }}',
        "content": f'attr {{ key: "k" value {{ tensor {{ tensor_content: "{literal}" "{literal}" }} }} }}',
        "input": f'input: "a" input: "{name}"',
        "name": f"device: '{name}'",
    }
    text = f'node {{ name: "x" op: "y" {fields[place]} }}\nnode {{ name: "z" op: "y" }}'
    graph = message("GraphDef")
    assert graph.FromString(text_to_binary(write(tmp_path, text))) == text_format.Parse(text, graph())


def test_a_long_text_takes_memory_for_its_strings_and_not_a_hundred_times_that(tmp_path: Path) -> None:
    import tracemalloc

    path = write(
        tmp_path, f'node {{ name: "x" op: "y" attr {{ key: "k" value {{ s: "{chr(92)}001{"a" * 4_000_000}" }} }} }}'
    )
    tracemalloc.start()
    try:
        assert len(text_to_binary(path)) > 4_000_000
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


def encoded(binary: bytes) -> list[bytes]:
    from modelprep.formats.tensorflow.graphdef import encode_graph

    return [bytes(piece) for piece in encode_graph(parse_graph(binary))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="node{}<>:\"'\\#\n 1a.-_,;[]", max_size=60))
def test_any_text_is_a_graph_or_an_error(tmp_path: Path, tail: str) -> None:
    with contextlib.suppress(ModelprepError):
        assert read_graph(write(tmp_path, "node { " + tail)).nodes


@given(st.lists(nodes, min_size=1, max_size=2))
def test_a_binary_graph_does_not_pass_for_text(found: list[dict[str, object]]) -> None:
    assert not looks_like_text(message("GraphDef")(node=found).SerializeToString())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_graph_or_an_error(data: bytes) -> None:
    with contextlib.suppress(StepError):
        assert parse_graph(data).nodes
