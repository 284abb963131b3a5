"""stb itself, compiled on the spot, as the oracle of our decoder and resize; and small trees as the board gets them."""

from __future__ import annotations

import ctypes
import gzip
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from once import standin_assets

from modelprep.check.types import Files, Verdict
from modelprep.check.verdict import judge
from modelprep.targets.armnn_tests import of_version

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SOURCE = """
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#include <stb/stb_image_resize.h>
unsigned char *decode(const unsigned char *data, int size, int *w, int *h, int *n)
{ return stbi_load_from_memory(data, size, w, h, n, 0); }
int resize(const unsigned char *in, int w, int h, unsigned char *out, int ow, int oh, int n)
{ return stbir_resize_uint8(in, w, h, 0, out, ow, oh, 0, n); }
"""


class Stb:
    """The two functions of stb that the board's tests use."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.decode.restype = ctypes.POINTER(ctypes.c_ubyte)

    def decode(self, data: bytes) -> NDArray[np.uint8] | None:
        import numpy as np

        size = [ctypes.c_int() for _ in range(3)]
        pointer = self._library.decode(data, len(data), *map(ctypes.byref, size))
        if not pointer:
            return None
        width, height, channels = (s.value for s in size)
        return np.ctypeslib.as_array(pointer, (height, width, channels)).copy()

    def resize(self, picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
        import numpy as np

        picture = np.ascontiguousarray(picture)
        rows, columns, channels = picture.shape
        out = np.zeros((height, width, channels), np.uint8)

        def pointer(array: Any) -> Any:
            return array.ctypes.data_as(ctypes.c_void_p)

        self._library.resize(pointer(picture), columns, rows, pointer(out), width, height, channels)
        return out


@pytest.fixture(scope="session")
def stb(tmp_path_factory: pytest.TempPathFactory) -> Stb:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not Path("/usr/include/stb/stb_image_resize.h").is_file():
        pytest.skip("needs a C compiler and Debian's libstb-dev with stb_image_resize.h")
    folder = tmp_path_factory.mktemp("stb")
    (folder / "stb.c").write_text(SOURCE)
    # No fused multiply-add: the reference is the C code as written.
    command = [compiler, "-O1", "-w", "-ffp-contract=off", "-shared", "-fPIC", "-o", "libstb.so", "stb.c", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    return Stb(folder / "libstb.so")


@pytest.fixture
def hide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Yield a function that takes a library away from the process in which models run."""
    from modelprep.check.runtimes import isolated

    folder = tmp_path / "hidden"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))

    def away(name: str) -> None:
        (folder / f"{name}.py").write_text(f"raise ImportError('{name} is hidden by the test')\n")
        isolated.stop()

    yield away
    isolated.stop()


# -- small models and their data ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The demo's working stand-ins: LeNet, a text GraphDef, an ONNX net, a quantised TF Lite net, digits, pictures."""
    made = {name: item.data for name, item in standin_assets(tmp_path_factory).items()}
    return {
        "lenet_iter_9000.caffemodel": made["lenet-caffemodel"],
        "simple_mnist_tf.prototxt": made["simple-mnist-tf"],
        "mnist_onnx.onnx": made["onnx-mnist"],
        "mobilenet_v1_1.0_224_quant.tflite": made["mobilenet-v1-quant"],
        "t10k-images.idx3-ubyte": gzip.decompress(made["mnist-t10k-images"]),
        "t10k-labels.idx1-ubyte": gzip.decompress(made["mnist-t10k-labels"]),
        "Dog.jpg": made["picture-dog"],
        "Cat.jpg": made["picture-cat"],
        "shark.jpg": made["picture-shark"],
    }


class Tree:
    """A folder as the board gets it."""

    def __init__(self, folder: Path, files: dict[str, bytes]) -> None:
        self.models, self.data = folder / "models", folder / "data"
        for path in (self.models, self.data):
            path.mkdir(parents=True)
        for name, content in files.items():
            self.path(name).write_bytes(content)

    def path(self, name: str) -> Path:
        data = name.endswith((".jpg", ".JPEG", ".png", "ubyte", ".gz", ".bin"))
        return (self.data if data else self.models) / name

    @property
    def files(self) -> Files:
        return Files(self.models, self.data)

    def judge(self, demo: str, version: str = "19.02", **options: Any) -> Verdict:
        return judge(of_version(version)[demo], self.files, **options)


@pytest.fixture
def tree(tmp_path: Path, standin: dict[str, bytes]) -> Tree:
    return Tree(tmp_path / "ArmnnTests", standin)


# -- the real files ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def real(upstream: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import modelprep

    folder = tmp_path_factory.mktemp("real")
    shark = upstream.joinpath(
        "raw.githubusercontent.com/EliSchwartz/imagenet-sample-images/master/n01484850_great_white_shark.JPEG"
    )
    report = modelprep.fetch(
        ["armnn-caffe/mnist", "armnn-tf/mnist", "armnn-onnx/mnist", "armnn-tflite/mobilenet-v1-quant"],
        out=folder / "out",
        cache=folder / "cache",
        mirrors=[str(upstream)],
        offline=True,
        overrides={"picture-shark": shark},
    )
    assert report.exit_code == 0
    return folder / "out" / "ArmnnTests"
