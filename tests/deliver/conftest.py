"""The small demos, finished: from their real files where the machine has them, and from the demo's stand-ins."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from here import run_here
from once import standin_mirror
from servers.sshd import board

__all__ = ["board"]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
TARGETS = ("armnn-caffe/mnist", "armnn-tf/mnist", "armnn-onnx/mnist", "armnn-tflite/mobilenet-v1-quant")


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


def modelprep(*arguments: str | Path, cwd: Path, **environment: str) -> Ran:
    """Run the real command with nothing of the caller's settings, and no way to a network."""
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODELPREP_", "SOURCE_DATE"))}
    settings = {**kept, **nowhere, "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(REPOSITORY), **environment}
    return Ran(*run_here([*map(str, arguments)], cwd, settings))


@dataclass(frozen=True)
class Goods:
    """Demos that are ready to go out.

    Parameters
    ----------
    upstream
        What they were fetched from, laid out as a mirror.
    out
        Their finished trees (``--out``).
    recipes
        Options that name the recipes of a stand-in; none for the real files.
    more
        What a fetch of them must be told besides.
    """

    upstream: Path
    out: Path
    recipes: tuple[str, ...]
    more: tuple[str, ...]

    def fetch(self, out: Path, mirror: Path | str, *options: str, **environment: str) -> Ran:
        """Fetch them once more, into another tree with a store of its own."""
        return modelprep(
            "fetch", *TARGETS, "--out", out, "--cache", out.with_name(f"{out.name}-cache"), "--mirror", mirror,
            *self.recipes, *self.more, *options, cwd=out.parent, **environment,
        )  # fmt: skip

    def run(self, command: str, *arguments: str | Path, out: Path | None = None, **environment: str) -> Ran:
        """Run a command that takes finished trees."""
        where = out or self.out
        return modelprep(command, *arguments, "--out", where, *self.recipes, cwd=where.parent, **environment)


@pytest.fixture(scope="session", params=[pytest.param("real", marks=pytest.mark.slow), "stand-in"])
def goods(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Goods:
    """Return the small demos, fetched through the real command."""
    folder = tmp_path_factory.mktemp("goods")
    more: tuple[str, ...] = ()
    if request.param == "real":
        # The shark is nobody's to pass on and lies on no mirror: as a user would, one brings a picture of one's own.
        upstream, recipes = request.getfixturevalue("upstream"), ()
        shark = upstream / (
            "raw.githubusercontent.com/EliSchwartz/imagenet-sample-images/master/n01484850_great_white_shark.JPEG"
        )
        more = ("--set", f"picture-shark={shark}")
    else:
        upstream, overlay = standin_mirror(tmp_path_factory)
        recipes = ("--recipes", str(overlay))
    made = Goods(upstream, folder / "out", recipes, more)
    ran = made.fetch(made.out, upstream, "--offline")
    assert ran.code == 0, ran.err
    return made
