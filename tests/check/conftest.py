"""stb itself, compiled on the spot, as the oracle of our decoder and resize."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

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
