"""Makes what the tests compare with, with a real TensorFlow (``python tf_oracle.py FOLDER SCHEMA``).

Writes checkpoints of both forms, graphs, and what TensorFlow's own freeze_graph makes of them; runs graphs before and
after tf.legalise; leaves its findings in ``findings.json``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.python.tools import freeze_graph

tf1 = tf.compat.v1
tf1.disable_v2_behavior()

#: What Saver can write in V1 form.
V1_TYPES = [
    "float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "complex128", "int64", "bool", "float16",
    "string", "qint32", "quint8", "qint8",
]  # fmt: skip
V2_TYPES = [*V1_TYPES, "uint16", "uint32", "uint64", "bfloat16", "qint16", "quint16", "float8_e5m2", "float8_e4m3fn"]
SHAPES = {"scalar": (), "one": (1,), "vector": (7,), "matrix": (3, 5), "empty": (0, 4)}


def values(dtype, shape, rng):
    count = int(np.prod(shape))
    if dtype == tf.string:
        return np.array([bytes(rng.integers(0, 256, rng.integers(0, 300), dtype=np.uint8)) for _ in range(count)],
                        dtype=object).reshape(shape)  # fmt: skip
    if dtype == tf.bool:
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.is_complex:
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype.as_numpy_dtype)
    if dtype.is_floating:
        return rng.standard_normal(shape).astype(dtype.as_numpy_dtype)
    base = np.dtype({"qint8": "int8", "quint8": "uint8", "qint16": "int16", "quint16": "uint16", "qint32": "int32"}
                    .get(dtype.name, dtype.name))  # fmt: skip
    info = np.iinfo(base)
    return rng.integers(info.min, info.max, shape, dtype=base, endpoint=True).astype(dtype.as_numpy_dtype)


def plain(array):
    """Give an array's elements as the bytes that lie in memory, or a list of strings."""
    if array.dtype == object:
        return [bytes(value).hex() for value in array.ravel()]
    return np.ascontiguousarray(array).tobytes().hex()


def all_types(folder, findings):
    rng = np.random.default_rng(0)
    for version, names in ((1, V1_TYPES), (2, V2_TYPES)):
        expected, names_, tensors = {}, [], []
        with tf1.Graph().as_default(), tf1.Session() as session:
            for name in names:
                dtype = tf.dtypes.as_dtype(name)
                for what, shape in SHAPES.items():
                    value = values(dtype, shape, rng)
                    names_.append(f"{name}/{what}")
                    tensors.append(tf.constant(value, dtype, shape))
                    expected[names_[-1]] = {"dtype": dtype.as_datatype_enum, "shape": shape, "data": plain(value)}
            for name in ("big", "bigger"):  # more than one block
                big = rng.standard_normal((300, 400)).astype(np.float32)
                names_.append(name)
                tensors.append(tf.constant(big))
                expected[name] = {"dtype": 1, "shape": big.shape, "data": plain(big)}
            path = str(folder / f"types.v{version}")
            if version == 1:
                operation = tf.raw_ops.Save(filename=path, tensor_names=names_, data=tensors)
            else:
                operation = tf.raw_ops.SaveV2(prefix=path, tensor_names=names_, shape_and_slices=[""] * len(names_),
                                              tensors=tensors)  # fmt: skip
            session.run(operation)
        findings[f"types.v{version}"] = expected
    # as variables, those types that TensorFlow can assign
    with tf1.Graph().as_default() as graph, tf1.Session() as session:
        reads = []
        for name in V1_TYPES:
            dtype = tf.dtypes.as_dtype(name)
            if not dtype.is_quantized:
                for what, shape in SHAPES.items():
                    if name == "string" and what == "scalar":
                        continue  # freeze_graph itself fails on these
                    value = tf.constant(values(dtype, shape, rng), dtype, shape)
                    reads.append(
                        tf1.identity(tf1.get_variable(f"{name}/{what}", initializer=value, use_resource=False))
                    )
        with tf.control_dependencies([read.op for read in reads]):
            tf.no_op(name="all")
        session.run(tf1.global_variables_initializer())
        inference = tf1.graph_util.extract_sub_graph(graph.as_graph_def(), ["all"])
        for version in (1, 2):
            tf1.train.Saver(write_version=version).save(
                session, str(folder / f"assigned.v{version}"), write_meta_graph=False, write_state=False
            )
            save(folder, f"assigned_v{version}", inference, findings, "all", f"assigned.v{version}")


def save(folder, name, graph, findings, output, checkpoint, *, inference=False, saver=None):
    """Write a graph and what TensorFlow freezes of it."""
    definition = graph.as_graph_def() if hasattr(graph, "as_graph_def") else graph
    (folder / f"{name}.pb").write_bytes(definition.SerializeToString())
    copy = graph_pb2.GraphDef()
    copy.CopyFrom(definition)
    try:
        with tf1.Graph().as_default():
            frozen = freeze_graph.freeze_graph_with_def_protos(
                copy, saver, str(folder / checkpoint), output, None, None, None, True, ""
            )
    except Exception as error:  # noqa: BLE001 - whatever it is, the tests see it
        findings.setdefault("refused", {})[name] = f"{type(error).__name__}: {str(error)[:300]}"
        return
    (folder / f"{name}.frozen.pb").write_bytes(frozen.SerializeToString(deterministic=True))
    findings.setdefault("frozen", {})[name] = {"output": output, "checkpoint": checkpoint}


def layers(x, *, resource, scope="net"):
    """A small network with everything that a variable meets on its way."""
    with tf1.variable_scope(scope, use_resource=resource):
        w = tf1.get_variable("w", [3, 3, 3, 8], initializer=tf1.random_normal_initializer(seed=1))
        b = tf1.get_variable("b", [8], initializer=tf1.random_normal_initializer(seed=2))
        s = tf1.get_variable("scale", [], initializer=tf1.constant_initializer(0.5))
        n = tf1.get_variable("count", [2], dtype=tf.int32, initializer=tf1.constant_initializer([8, -1]))
        table = tf1.get_variable("table", [11, 8], initializer=tf1.random_normal_initializer(seed=3))
        with tf1.device("/cpu:0"), tf.control_dependencies([tf.no_op(name="before")]):
            x = tf1.nn.conv2d(x, w, [1, 1, 1, 1], "SAME") + b
        x = tf1.identity(tf1.nn.relu(x) * s, name="hidden")
        rows = tf1.gather(table, tf.constant([1, 5])) if not resource else tf1.nn.embedding_lookup(table, [1, 5])
        x = x + tf.reduce_sum(rows, 0)
        with tf1.colocate_with(b.op):
            x = tf1.identity(x, name="beside")
        return tf1.nn.softmax(tf1.reshape(tf.reduce_mean(x, [1, 2]), tf1.identity(n[::-1])), name="out")


def variables(folder, findings):
    for kind, resource in (("reference", False), ("resource", True)):
        with tf1.Graph().as_default() as graph, tf1.Session() as session:
            layers(tf1.placeholder(tf.float32, [None, 6, 6, 3], name="input"), resource=resource)
            inference = graph.as_graph_def()
            session.run(tf1.global_variables_initializer())
            for version in (1, 2):
                saver = tf1.train.Saver(write_version=version)
                saver.save(session, str(folder / f"{kind}.v{version}"), write_meta_graph=False, write_state=False)
                if not resource:  # without a saver in the graph freeze_graph fails on resource variables
                    save(folder, f"{kind}_v{version}", inference, findings, "net/out", f"{kind}.v{version}")
            (folder / f"{kind}_v2.pb").write_bytes(inference.SerializeToString())
            save(folder, f"{kind}_saver", graph, findings, "net/out", f"{kind}.v2", saver=saver.as_saver_def())
            if resource:
                table = next(v for v in tf1.global_variables() if v.op.name == "net/table")
                tf1.identity(table.gather_nd(tf.constant([[1], [2]])) + 0.0, name="nd")
                tf1.identity(table.sparse_read(tf.constant([1, 2], tf.int64)), name="sparse")
                save(folder, "gather_nd", graph, findings, "nd,sparse", "resource.v2", saver=saver.as_saver_def())


def partitions(folder, findings):
    for kind, resource in (("reference", False), ("resource", True)):
        for axis in (0, 1):
            name = f"parts_{kind}_{axis}"
            with tf1.Graph().as_default() as graph, tf1.Session() as session:
                with tf1.variable_scope("net", use_resource=resource, partitioner=tf1.fixed_size_partitioner(3, axis)):
                    w = tf1.get_variable("w", [7, 10], initializer=tf1.random_normal_initializer(seed=5))
                x = tf1.placeholder(tf.float32, [None, 7], name="input")
                tf1.matmul(x, tf1.convert_to_tensor(w), name="out")
                inference = graph.as_graph_def()
                session.run(tf1.global_variables_initializer())
                for version in (1, 2):
                    saver = tf1.train.Saver(write_version=version)
                    saver.save(session, str(folder / f"{name}.v{version}"), write_meta_graph=False, write_state=False)
                    save(folder, f"{name}_v{version}", graph, findings, "out", f"{name}.v{version}",
                         saver=saver.as_saver_def())  # fmt: skip
                (folder / f"{name}.bare.pb").write_bytes(inference.SerializeToString())
                whole = session.run(tf1.convert_to_tensor(w))
                findings[f"{name}.whole"] = {"dtype": 1, "shape": whole.shape, "data": plain(whole)}


def control_flow(folder, findings):
    tf1.disable_control_flow_v2()
    for kind, resource in (("reference", False), ("resource", True)):
        loop(folder, findings, f"loop_{kind}", resource)


def loop(folder, findings, name, resource):
    with tf1.Graph().as_default() as graph, tf1.Session() as session:
        with tf1.variable_scope("net", use_resource=resource):
            w = tf1.get_variable("w", [4], initializer=tf1.random_normal_initializer(seed=7))
        x = tf1.placeholder(tf.float32, [4], name="input")
        y = tf1.cond(tf.reduce_sum(x) > 0, lambda: x + w, lambda: x - w)
        tf1.while_loop(lambda i, _: i < 3, lambda i, z: (i + 1, z * w), [0, y], name="loop")
        tf1.identity(graph.get_tensor_by_name("loop/Exit_1:0"), name="out")
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver()
        saver.save(session, str(folder / name), write_meta_graph=False, write_state=False)
        save(folder, name, graph, findings, "out", name, saver=saver.as_saver_def())


def shards(folder, findings):
    config = tf1.ConfigProto(device_count={"CPU": 2})
    for version in (1, 2):
        with tf1.Graph().as_default() as graph, tf1.Session(config=config) as session:
            for index in (0, 1):
                with tf1.device(f"/job:localhost/task:0/cpu:{index}"):
                    tf1.get_variable(f"v{index}", initializer=tf.constant(np.full((3, 2), index + 1.5, np.float32)),
                                     use_resource=False)  # fmt: skip
            a, b = tf1.global_variables()
            tf1.add(a, b, name="out")
            session.run(tf1.global_variables_initializer())
            inference = graph.as_graph_def()
            tf1.train.Saver(sharded=True, write_version=version).save(
                session, str(folder / f"sharded.v{version}"), write_meta_graph=False, write_state=False
            )
        (folder / "sharded.pb").write_bytes(inference.SerializeToString())


def objects(folder, findings):
    with tf1.Graph().as_default() as graph, tf1.Session() as session:
        v = tf1.get_variable("weights", [2, 2], initializer=tf1.random_normal_initializer(seed=9), use_resource=True)
        tf1.identity(v.read_value(), name="out")
        session.run(v.initializer)
        value = session.run(v.read_value())
        path = tf1.train.Checkpoint(model=v).save(str(folder / "objects"), session)
    findings["objects"] = {"prefix": Path(path).name, "data": plain(value)}
    (folder / "objects.pb").write_bytes(graph.as_graph_def().SerializeToString())


def renamed(folder, findings):
    """Variables that the saver stores under names of its own."""
    with tf1.Graph().as_default() as graph, tf1.Session() as session:
        a = tf1.get_variable("a", initializer=tf.constant([1.0, 2.0]), use_resource=True)
        b = tf1.get_variable("b", initializer=tf.constant([3.0, 4.0]), use_resource=False)
        tf1.add(a, b, name="out")
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver({"other/b": b, "b": a}).save(
            session, str(folder / "renamed"), write_meta_graph=False, write_state=False
        )
        (folder / "renamed.pb").write_bytes(graph.as_graph_def().SerializeToString())


def legal(folder, findings):
    """A network in today's words, before and after tf.legalise."""
    from modelprep.steps import Call, find

    with tf1.Graph().as_default() as graph, tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [1, 8, 8, 4], name="input")
        rng = np.random.default_rng(3)

        def const(*shape):
            return tf.constant(rng.standard_normal(shape).astype(np.float32))

        y = tf.raw_ops.AddV2(x=x, y=const(4))
        y, *_ = tf.raw_ops.FusedBatchNormV3(x=y, scale=const(4), offset=const(4), mean=const(4),
                                            variance=tf.abs(const(4)).op.inputs[0] ** 2, is_training=False)  # fmt: skip
        y = tf1.identity(tf1.stop_gradient(y))
        z = tf1.nn.conv2d(y, const(3, 3, 4, 6), [1, 1, 1, 1], "SAME")
        with tf.control_dependencies([tf.no_op()]):
            y = tf.concat([y, tf.nn.relu(z)], -1, name="joined")
        y = tf1.nn.max_pool2d(y, 2, 2, "VALID")
        tf1.nn.softmax(tf1.reshape(y, [1, -1]), name="out")
        tf1.identity(y, name="not_asked_for")
        definition = tf1.graph_util.extract_sub_graph(graph.as_graph_def(), ["out", "not_asked_for"])
        # the square of a constant is no constant: fold what TensorFlow would fold
        folded = {}
        for node in definition.node:
            if node.op in ("Pow", "Abs", "Square"):
                folded[node.name] = session.run(f"{node.name}:0")
        for node in definition.node:
            if node.name in folded:
                value = folded[node.name]
                node.Clear()
                node.name, node.op = next(n for n, v in folded.items() if v is value), "Const"
                node.attr["dtype"].type = 1
                node.attr["value"].tensor.CopyFrom(tf1.make_tensor_proto(value))
        path = folder / "modern.pb"
        path.write_bytes(definition.SerializeToString())
    facts = find("tf.legalise").run(
        Call({"graph": path, "target": "armnn-19.02", "outputs": ("out",)}, folder / "legal.pb")
    )
    fed = np.random.default_rng(4).standard_normal((1, 8, 8, 4)).astype(np.float32)
    found = []
    for name in ("modern.pb", "legal.pb"):
        with tf1.Graph().as_default(), tf1.Session() as session:
            tf1.import_graph_def(graph_pb2.GraphDef.FromString((folder / name).read_bytes()), name="")
            found.append(session.run("out:0", {"input:0": fed}))
    findings["legal"] = {
        "facts": facts,
        "difference": float(np.abs(found[0] - found[1]).max()),
        "peak": float(found[0].max()),
    }


def schema(findings):
    """What TensorFlow's own descriptors say of every message and enum that our table names."""
    from google.protobuf import descriptor_pool
    from google.protobuf.descriptor import FieldDescriptor
    from tensorflow.core.protobuf import tensor_bundle_pb2, trackable_object_graph_pb2  # noqa: F401
    from tensorflow.core.util import saved_tensor_slice_pb2  # noqa: F401

    pool = descriptor_pool.Default()
    kinds = {value: name.removeprefix("TYPE_").lower() for name, value in vars(FieldDescriptor).items()
             if name.startswith("TYPE_")}  # fmt: skip
    rows = Path(sys.argv[2]).read_text().splitlines()
    found = {}
    for row in rows:
        if row.startswith("#"):
            continue
        kind, owner, name = row.split("\t")[:3]
        if kind == "enum":
            found[f"{owner}.{name}"] = pool.FindEnumTypeByName(f"tensorflow.{owner}").values_by_name[name].number
        else:
            field = pool.FindMessageTypeByName(f"tensorflow.{owner}").fields_by_name[name]
            target = field.message_type or field.enum_type
            found[f"{owner}.{name}"] = [
                field.number, kinds[field.type], field.is_repeated,
                "" if target is None else target.full_name.rpartition(".")[2],
                field.containing_oneof.name if field.containing_oneof else "",
            ]  # fmt: skip
    findings["schema"] = found


def main():
    folder = Path(sys.argv[1])
    findings = {"version": tf.__version__}
    all_types(folder, findings)
    variables(folder, findings)
    partitions(folder, findings)
    control_flow(folder, findings)
    shards(folder, findings)
    objects(folder, findings)
    renamed(folder, findings)
    schema(findings)
    legal(folder, findings)
    (folder / "findings.json").write_text(json.dumps(findings))


if __name__ == "__main__":
    main()
