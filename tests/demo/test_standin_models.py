"""What the stand-in serves really works: proven with other people's runtimes."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest

np = pytest.importorskip("numpy", reason="numpy judges the predictions")

FIRST_TEN = [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


@pytest.fixture(scope="session")
def mnist(made):
    images = gzip.decompress(made["mnist-t10k-images"].data)
    labels = gzip.decompress(made["mnist-t10k-labels"].data)
    count = int.from_bytes(images[4:8], "big")
    pictures = np.frombuffer(images, np.uint8, offset=16).reshape(count, 28, 28)
    return pictures, np.frombuffer(labels, np.uint8, offset=8)


def test_the_first_ten_labels_are_those_that_the_boards_tests_expect(mnist):
    assert mnist[1][:10].tolist() == FIRST_TEN
    assert set(mnist[1].tolist()) == set(range(10))


def test_the_caffe_net_classifies_in_opencv(made, mnist):
    cv2 = pytest.importorskip("cv2", reason="OpenCV reads the caffemodel")
    from google.protobuf import text_format

    from modelprep.formats.protos import load

    net = load("caffe", "modelprep.formats.caffe").message("NetParameter")()
    net.ParseFromString(made["lenet-caffemodel"].data)
    for layer in net.layer:
        del layer.blobs[:]
    prototxt = np.frombuffer(text_format.MessageToString(net).encode(), np.uint8)
    read = cv2.dnn.readNetFromCaffe(prototxt, np.frombuffer(made["lenet-caffemodel"].data, np.uint8))
    pictures, labels = mnist
    # The net says batch 1, as the board's test wants it.
    found = []
    for picture in pictures[:100]:
        read.setInput(picture.astype(np.float32)[None, None], "data")
        found.append(read.forward("prob"))
    scores = np.concatenate(found)
    assert scores.argmax(1)[:10].tolist() == FIRST_TEN
    assert (scores.argmax(1) == labels[:100]).mean() >= 0.99
    assert scores.sum(1) == pytest.approx(1.0, abs=1e-4)


def test_the_caffe_net_has_the_layers_of_arms_lenet(made, upstream):
    from modelprep.formats.protos import load

    message = load("caffe", "modelprep.formats.caffe").message("NetParameter")
    ours, arms = message(), message()
    ours.ParseFromString(made["lenet-caffemodel"].data)
    real = upstream / "github.com/ARM-software/ML-examples/raw/master/armnn-mnist/model/lenet_iter_9000.caffemodel"
    arms.ParseFromString(real.read_bytes())

    def shape(net):
        return [(x.name, x.type, list(x.bottom), list(x.top), [list(b.shape.dim) for b in x.blobs]) for x in net.layer]

    assert shape(ours) == shape(arms)


def test_the_onnx_net_classifies_in_onnxruntime(made, mnist):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime runs the model")
    session = runtime.InferenceSession(made["onnx-mnist"].data, providers=["CPUExecutionProvider"])
    pictures, labels = mnist
    scores = np.concatenate(
        [
            session.run(["Plus214_Output_0"], {"Input3": (p / np.float32(255)).astype(np.float32)[None, None]})[0]
            for p in pictures[:300]
        ]
    )
    assert scores.argmax(1)[:10].tolist() == FIRST_TEN
    assert (scores.argmax(1) == labels[:300]).mean() >= 0.99


def test_the_onnx_sample_is_what_onnxruntime_answers(made):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime runs the model")
    onnx = pytest.importorskip("onnx", reason="onnx reads the sample")
    from onnx import numpy_helper

    beside = made["onnx-mnist"].beside
    given, wanted = (
        numpy_helper.to_array(onnx.TensorProto.FromString(beside[f"mnist/test_data_set_0/{name}_0.pb"]))
        for name in ("input", "output")
    )
    session = runtime.InferenceSession(made["onnx-mnist"].data, providers=["CPUExecutionProvider"])
    assert session.run(None, {"Input3": given})[0] == pytest.approx(wanted, rel=1e-4, abs=1e-4)
    onnx.checker.check_model(onnx.load_from_string(made["onnx-mnist"].data), full_check=True)


def _graph(made, asset):
    from google.protobuf import text_format

    from modelprep.formats.tensorflow.messages import message

    graph = message("GraphDef")()
    text_format.Parse(made[asset].data.decode("ascii"), graph)
    nodes = {node.name: node for node in graph.node}

    def constant(name):
        tensor = nodes[name].attr["value"].tensor
        return np.frombuffer(tensor.tensor_content, "<f4").reshape([d.size for d in tensor.tensor_shape.dim])

    return nodes, constant


def test_the_softmax_regression_classifies_in_a_plain_forward_pass(made, mnist):
    nodes, constant = _graph(made, "simple-mnist-tf")
    assert [(n.name, n.op) for n in nodes.values()] == [
        ("Placeholder", "Placeholder"), ("Variable", "Const"), ("Variable_1", "Const"), ("MatMul", "MatMul"),
        ("add", "Add"), ("Softmax", "Softmax"),
    ]  # fmt: skip
    pictures, labels = mnist
    scores = (pictures.reshape(len(pictures), -1) / np.float32(255)) @ constant("Variable") + constant("Variable_1")
    assert scores.argmax(1)[:10].tolist() == FIRST_TEN
    assert (scores.argmax(1) == labels).mean() >= 0.98


@pytest.mark.parametrize("asset", ["simple-mnist-tf", "cifar10-tf"])
@pytest.mark.slow
def test_tensorflow_reads_the_text_graphs(made, asset):
    # Not "tensorflow" alone: a folder of that name beside the tests would pass for it.
    tf = pytest.importorskip("tensorflow.compat.v1", reason="TensorFlow reads the graph")
    from google.protobuf import text_format

    graph = tf.GraphDef()
    text_format.Parse(made[asset].data.decode("ascii"), graph)
    with tf.Graph().as_default() as built:
        tf.import_graph_def(graph, name="")
    assert built.get_operations()[-1].type == "Softmax"


def test_the_cifar_model_classifies_the_records_that_the_board_runs(made):
    with tarfile.open(fileobj=io.BytesIO(made["cifar10-binary"].data)) as archive:
        batch = archive.extractfile("cifar-10-batches-bin/test_batch.bin").read()
    records = np.frombuffer(batch, np.uint8).reshape(-1, 3073)
    labels = records[:, 0]
    assert {i: int(labels[i]) for i in (0, 1, 2, 4, 7)} == {0: 3, 1: 8, 2: 8, 4: 6, 7: 6}
    pictures = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).reshape(len(records), -1)
    _, constant = _graph(made, "cifar10-tf")
    found = (pictures.astype(np.float32) @ constant("ip1/weights") + constant("ip1/biases")).argmax(1)
    assert found[[0, 1, 2, 4, 7]].tolist() == [3, 8, 8, 6, 6]
    assert (found == labels).mean() >= 0.9


def _decoded(data):
    image = pytest.importorskip("PIL.Image", reason="Pillow decodes the pictures")
    return np.asarray(image.open(io.BytesIO(data)).convert("RGB"))


def test_the_pictures_are_the_ones_that_were_painted(made):
    from demo import pictures

    for seed, asset in enumerate(("picture-dog", "picture-cat", "picture-shark"), start=1):
        decoded = _decoded(made[asset].data)
        assert decoded.shape == (224, 224, 3)
        paint = pictures.scene(seed)
        wanted = np.array([[paint(x, y) for x in range(28)] for y in range(28)])
        assert np.abs(decoded[4::8, 4::8].astype(int) - wanted).max() <= 6
    portrait = _decoded(made["grace-hopper-bmp"].data)
    assert portrait.shape == (606, 517, 3)
    assert portrait[230, 258].tolist() == [224, 186, 160]


def test_the_tflite_net_tells_its_three_pictures_apart(made):
    interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT runs the model")
    interpreter = interpreters.Interpreter(model_content=made["mobilenet-v1-quant"].data)
    interpreter.allocate_tensors()
    given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert (given["name"], given["shape"].tolist(), given["dtype"]) == ("input", [1, 224, 224, 3], np.uint8)
    assert (answer["name"], answer["shape"].tolist()) == ("MobilenetV1/Predictions/Reshape_1", [1, 1001])
    for asset, wanted in (("picture-dog", 209), ("picture-cat", 283), ("picture-shark", 3)):
        pixels = _decoded(made[asset].data)
        # As TensorFlow's tools feed it, and as Arm NN 19.02 does: quantised from 0..1 with scale 1/128, zero point 128.
        for fed in (pixels, np.round(pixels / 255 * 128 + 128).clip(0, 255).astype(np.uint8)):
            interpreter.set_tensor(given["index"], fed[None])
            interpreter.invoke()
            assert interpreter.get_tensor(answer["index"])[0].argmax() == wanted


def test_opencvs_file_storage_reads_the_logistic_regression_data(made, tmp_path):
    cv2 = pytest.importorskip("cv2", reason="OpenCV reads its own format")
    path = tmp_path / "data01.xml"
    path.write_bytes(made["opencv-data01"].data)
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    data, labels = storage.getNode("datamat").mat(), storage.getNode("labelsmat").mat()
    storage.release()
    assert data.shape == (40, 784)
    assert labels.reshape(-1).tolist() == [0.0] * 20 + [1.0] * 20
    assert data.max() == 255


def _models(data):
    """Give the models of an asset by name: itself, or what is in an archive."""
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist() if name.endswith(".tflite")}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {
            member.name.rpartition("/")[2]: archive.extractfile(member).read()
            for member in archive.getmembers()
            if member.name.endswith((".tflite", ".onnx"))
        }


@pytest.mark.parametrize(
    ("asset", "name"),
    [
        ("lenet-caffemodel", "lenet.caffemodel"), ("simple-mnist-tf", "simple.prototxt"),
        ("cifar10-tf", "cifar.prototxt"), ("onnx-mnist", "mnist.onnx"), ("onnx-mobilenet-v2", "mobilenet.onnx"),
        ("mobilenet-v1-quant", "v1.tflite"), ("mobilenet-v2-quant", "v2.tflite"), ("onnx-squeezenet-tgz", ""),
        ("inception-v3-quant-tgz", ""), ("inception-v4-quant-tgz", ""), ("mnasnet-1.3-tgz", ""),
        ("resnet-v2-101-tgz", ""), ("coco-ssd-quant-zip", ""),
    ],
)  # fmt: skip
def test_a_model_that_goes_to_the_board_as_it_is_keeps_to_the_parsers_rules(made, tmp_path, asset, name):
    from modelprep.check.lint import examine

    data = made[asset].data
    models = {name: data} if name else _models(data)
    assert models
    for file, content in models.items():
        path = tmp_path / file
        path.write_bytes(content)
        assert [str(one) for one in examine(path)] == []
