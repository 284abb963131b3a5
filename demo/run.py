"""``make demo``: the whole pipeline on a machine without internet, with every bar showing.

Makes the stand-in, serves it on loopback with the faults that real servers have, runs the real commands against it,
shows the tree and lets other runtimes classify digits with what came out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parent.parent
if str(_REPOSITORY) not in sys.path:
    sys.path.insert(0, str(_REPOSITORY))

_SHOWN = 10
#: What is fetched and checked unless --all says otherwise: a test of each kind of model, and each passes.
FIRST = ("armnn-caffe/mnist", "armnn-onnx/mnist", "armnn-tf/mnist", "armnn-tflite/mobilenet-v1-quant")


def targets(recipes: Path, upstream: Path) -> list[str]:
    """Name the recipes that the stand-in in `upstream` has every asset of."""
    from demo.layout import read
    from modelprep.recipe.catalogue import Catalogue, SharedAssets

    held = read(upstream, SharedAssets([recipes / "assets"])).contents
    catalogue = Catalogue([recipes])
    found = []
    for name in catalogue.names():
        recipe = catalogue.recipe(name)
        if recipe.status == "ready" and recipe.assets and all(asset.key in held for asset in recipe.assets.values()):
            found.append(name)
    return found


@contextmanager
def served(folder: Path, rate: int) -> Iterator[str]:
    """Serve a folder for the time of a block; yield the address."""
    from demo.serve import Server

    server = Server(folder, rate=rate)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def modelprep(*words: str, shown: bool = True) -> int:
    """Run the real command; what it prints goes where ours goes."""
    if shown:
        print(f"\n$ modelprep {' '.join(words)}", flush=True)
    # A proxy of the network outside has no business on loopback.
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONPATH": str(_REPOSITORY)}
    return subprocess.run([sys.executable, "-m", "modelprep", *words], env=environment, check=False).returncode


def check(names: list[str], recipes: Path, out: Path, page: Path) -> int:
    """Say which tests will pass; without the runtimes of the extra `check` there is no answer, which is no failure."""
    status = modelprep("check", *names, "--recipes", str(recipes), "--out", str(out), "--html", str(page))
    return 0 if status == 7 else status


def show_tree(out: Path) -> None:
    """Print what was installed."""
    print(f"\n{out}", flush=True)
    for path in sorted(out.rglob("*")):
        if path.is_file():
            print(f"  {path.relative_to(out)!s:<60} {path.stat().st_size:>9}")


def classify(out: Path) -> bool:
    """Let other runtimes classify the first digits with the installed models; False when one answers wrongly."""
    try:
        import numpy as np
    except ImportError:
        print("\nskipped: numpy, which reads the answers, is not installed")
        return True
    tree = out / "ArmnnTests"
    images, labels = tree / "data/t10k-images.idx3-ubyte", tree / "data/t10k-labels.idx1-ubyte"
    if not images.is_file():
        print("\nskipped: no digits are installed")
        return True
    pictures = np.fromfile(images, np.uint8, offset=16).reshape(-1, 28, 28)[:_SHOWN].astype(np.float32)
    wanted = np.fromfile(labels, np.uint8, offset=8)[:_SHOWN].tolist()
    print(f"\nThe first {_SHOWN} digits")
    print(f"  {'labels':<26} {wanted}")
    fine = True
    for name, run in (
        ("models/lenet_iter_9000.caffemodel", _caffe),
        ("models/simple_mnist_tf.prototxt", _tensorflow),
        ("models/mnist_onnx.onnx", _onnx),
    ):
        model = tree / name
        if not model.is_file():
            continue
        try:
            runtime, answers = run(model, pictures)
        except ImportError as error:
            print(f"  {model.name:<26} skipped: {error.name} is not installed (extra `check`)")
            continue
        right = answers == wanted
        fine = fine and right
        print(f"  {model.name:<26} {answers} {runtime}{'' if right else '  WRONG'}")
    return fine


def _caffe(model: Path, pictures: Any) -> tuple[str, list[int]]:
    import cv2
    import numpy as np
    from google.protobuf import text_format

    from modelprep.formats.protos import load

    data = model.read_bytes()
    net: Any = load("caffe", "modelprep.formats.caffe").message("NetParameter")()
    net.ParseFromString(data)
    for layer in net.layer:
        del layer.blobs[:]
    structure = np.frombuffer(text_format.MessageToString(net).encode(), np.uint8)
    read = cv2.dnn.readNetFromCaffe(structure, np.frombuffer(data, np.uint8))
    answers = []
    for picture in pictures:
        read.setInput(picture[None, None], "data")
        answers.append(int(read.forward("prob").argmax()))
    return f"OpenCV {cv2.__version__}", answers


def _onnx(model: Path, pictures: Any) -> tuple[str, list[int]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    answers = [int(session.run(None, {"Input3": picture[None, None] / 255})[0].argmax()) for picture in pictures]
    return f"ONNX Runtime {onnxruntime.__version__}", answers


def _tensorflow(model: Path, pictures: Any) -> tuple[str, list[int]]:
    import numpy as np
    from google.protobuf import text_format

    from modelprep.formats.tensorflow.messages import message

    graph: Any = message("GraphDef")()
    text_format.Parse(model.read_text("ascii"), graph)
    weights, biases = (
        np.frombuffer(node.attr["value"].tensor.tensor_content, "<f4") for node in graph.node if node.op == "Const"
    )
    scores = pictures.reshape(len(pictures), -1) / 255 @ weights.reshape(784, 10) + biases
    return "numpy", scores.argmax(1).tolist()


def main(arguments: list[str] | None = None) -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=_REPOSITORY / ".demo", metavar="DIR", help="where all of it goes")
    parser.add_argument("--rate", type=int, default=400_000, metavar="BYTES_PER_SECOND", help="of each connection")
    parser.add_argument("--all", action="store_true", help="every recipe that the stand-in suffices for; no check")
    parser.add_argument("--keep", action="store_true", help="do not begin with an empty cache and tree")
    parser.add_argument("more", nargs="*", metavar="-- ARG", help="further options for `modelprep fetch`")
    options = parser.parse_args(arguments)
    try:
        import numpy  # noqa: F401
    except ImportError:
        print("the stand-in is fitted with numpy: pip install numpy", file=sys.stderr)
        return 7
    from demo import standin

    work = options.work.absolute()
    if work.is_relative_to(Path.cwd()):
        work = work.relative_to(Path.cwd())  # shorter to read in the command that is shown
    upstream, recipes, out, cache = (work / name for name in ("upstream", "recipes", "out", "cache"))
    for folder in (upstream, recipes, *(() if options.keep else (out, cache))):
        shutil.rmtree(folder, ignore_errors=True)
    started = time.monotonic()
    print("Making the stand-in upstream: drawn digits, and networks fitted to them ...", flush=True)
    written = standin.make(upstream)
    standin.make_overlay(upstream, recipes)
    print(f"{len(written)} addresses in {upstream}, their recipes in {recipes} ({time.monotonic() - started:.1f} s)")
    names = targets(recipes, upstream) if options.all else list(FIRST)
    with served(upstream, options.rate) as mirror:
        print(f"Serving it at {mirror}, {options.rate // 1000} kB/s each, some addresses broken")
        words = ["fetch", *names, "--mirror", mirror, "--recipes", str(recipes), "--out", str(out)]
        words += ["--cache", str(cache), "--no-archives", *options.more]
        code = modelprep(*words)
        if code:
            return code
        print("\nThe same command again: nothing is left to do.", flush=True)
        code = modelprep(*words, shown=False)
    if not options.all and out.is_dir():
        code = code or check(names, recipes, out, work / "report.html")
    show_tree(out)
    fine = classify(out)
    print(f"\n{time.monotonic() - started:.0f} s in all. These are stand-ins (docs/demo.md), not the real models.")
    print("Next: docs/tutorials/first-board.md, or `make armnn-onnx` for the real models.")
    return code or (0 if fine else 1)


if __name__ == "__main__":
    sys.exit(main())
