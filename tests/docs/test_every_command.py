"""Every command of the pages is run as it stands, page by page, against stand-ins on this machine.

Hosts are answered for by a proxy out of the demo's stand-in (`servers/internet.py`), boards are OpenSSH servers on
loopback, the store holds what the pages speak of. What no test can run stands in :data:`NOT_RUN`, with the reason.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from here import run_here
from once import REPOSITORY, once, standin_mirror
from servers.internet import internet
from servers.nginx import free_port
from servers.sshd import BoardServer, board, joint_ssh

__all__ = ["board"]  # a fixture

pytestmark = pytest.mark.slow

#: What begins a command that cannot be run here -> why. It is seen to be one that the shell can read all the same.
NOT_RUN = {
    "docker ": "there is no container runtime here; tests/ci runs the Dockerfile's lines where they can be",
    "pipx install": "downloads from a package index; tests/installation does it",
    "pip install": "downloads from a package index; tests/installation does it",
    ".venv/bin/pip install": "downloads from a package index",
    "python3 -m venv ~": "downloads from a package index",
    "export MODELPREP_ONNX2TF=": "names what such a line has installed",
    "export MODELPREP_QUANTIZER=": "names what such a line has installed",
    "lavacli ": "submits to a LAVA server",
    "LG_COORDINATOR=": "a labgrid farm; tests/deliver/test_labgrid_places.py has one",
    "modelprep deploy armnn-caffe labgrid:": "a labgrid farm; tests/deliver/test_labgrid_places.py has one",
    "modelprep --install-completion": "writes to the shell that calls it; tests/installation/test_completion.py does",
    "modelprep fetch ./my-net.yaml": "needs nets of several shapes; tests/docs/test_the_chains.py runs all three",
    "convert ": "needs ImageMagick",
    "modelprep recipe pin mine/logo": "needs files of the reader's; tests/recipe/test_recipe_lock_and_pin.py",
    "modelprep fetch acl/alexnet@zip": "the archive has moved, as the page says, and no stand-in is made of it",
    "modelprep fetch ./docs/examples/modelprep-neutron": "the plug-in is not installed, nor is NXP's converter",
}
#: Targets of make that run or install what this test is part of, and the demo, which the tutorial runs: `--dry-run`.
MAKES_DRY = re.compile(r"^make (test|check|faults|demo(?=  ))")
#: What a page writes for something of the reader's, or for a place of the machine's own -> what stands here for it.
STANDS_FOR = {
    "git clone URL": f"git clone --quiet --depth 1 file://{REPOSITORY}",
    "steps family.verb": "steps caffe.bake",
    "/srv/models": "../srv-models",
    ":/usr/": ":usr/",
    "8000": str(free_port()),
    # Half a second between two requests of one host is right out there.
    "modelprep audit": "modelprep audit --pause 0",
    # The model that stands in is not trained: its outputs lie close together.
    "modelprep tflite quantise": "modelprep tflite quantise --min-cosine 0.5",
}
#: Groups that the demo has every stand-in of; they stand for `all`.
ALL = "armnn-caffe armnn-onnx armnn-tf armnn-tflite ml-security opencv-dnn tensorflow"
#: A tool -> commands that are left out where it is not installed.
NEEDS = {
    "jq": "jq ", "git": "^git ", "MODELPREP_PYCAFFE": "--compare$", "MODELPREP_VELA":
    r"tflite vela|ethos-u|@imx93|--soc imx93", "MODELPREP_QUANTIZER": "tflite quantise",
}  # fmt: skip
#: Page -> what it takes for done.
BEFORE = {
    "docs/bundle.md": ["modelprep fetch armnn-caffe armnn-tf"],
    "docs/check.md": ["modelprep fetch armnn-caffe armnn-onnx armnn-tflite"],
    "docs/dead-links.md": ["modelprep mirror armnn-caffe /srv/models"],
    "docs/deploy.md": ["modelprep fetch all"],
    "docs/tflite.md": [
        "modelprep tflite rename-io mobilenet_v2_1.0_224_quant.tflite -o theirs.tflite "
        "--rename-output output=MobilenetV2/Predictions/Softmax",
        "mv theirs.tflite mobilenet_v2_1.0_224_quant.tflite",
    ],
    "docs/reference/options.md": [
        "modelprep fetch armnn-onnx", "modelprep fetch armnn-caffe", "modelprep recipe new other/thing --in my-recipes",
        "modelprep fetch my-demos --recipes https://git.example.org/team/recipes/archive/refs/tags/v1.tar.gz",
    ],
}  # fmt: skip
#: The answer of a verb that is no failure: `fetch` lacks a file of the user's own, stand-ins pass no check.
ANSWERS = {"fetch": 8, "check": 1, "lint": 1, "audit": 1}


def commands(page: Path) -> list[str]:
    """Return the commands of a page: in fenced blocks for a console, and the examples of help texts.

    Lines that follow without a prompt belong to a command that goes on (a backslash, a here-document); else they are
    what it prints. A board's prompt stands for ssh.
    """
    found: list[str] = []
    for kind, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        if kind == "text" and block.startswith("Examples:\n"):
            found += [re.split(r" {2,}", line.strip())[0] for line in block.splitlines()[1:]]
        ends = ""
        for line in block.splitlines() if kind == "console" else ():
            prompt = re.match(r" *(?:\$|(root@\w+):~/(\w+)#) (.*)", line)
            if ends or (found and found[-1].endswith("\\")):
                found[-1] += f"\n{line}"
            elif prompt is not None:
                there = f"ssh {prompt[1]} 'cd {prompt[2]} && {prompt[3].partition(' #')[0].strip()}'"
                found.append(there if prompt[1] else prompt[3])
            if here := re.search(r"<<'(\w+)'$", line):
                ends = here[1]
            elif line == ends:
                ends = ""
    return found


PAGES = {
    page.relative_to(REPOSITORY).as_posix(): commands(page)
    for page in sorted(
        [*(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
         *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "recipes").rglob("*.md")]
    )
}  # fmt: skip


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages speak of: a store that has fetched all, and files by the names that commands give them."""
    mirror, recipes = standin_mirror(tmp_path_factory)

    def make(folder: Path) -> None:
        environment = {**os.environ, "MODELPREP_CACHE": str(folder / "store"), "MODELPREP_RECIPES": str(recipes)}
        words = ["fetch", "all", "--mirror", str(mirror), "--no-archives", "--offline"]
        assert run_here(words, folder, environment)[0] == 8  # some need a file of the user's
        models, files = folder / "out" / "ArmnnTests" / "models", folder / "files"
        (files / "pictures").mkdir(parents=True)
        picture = next(mirror.rglob("shark.jpg"))
        for name, source in {
            "deploy.prototxt": next(mirror.rglob("bvlc_alexnet/deploy.prototxt")),
            "net.caffemodel": next(mirror.rglob("bvlc_alexnet.caffemodel")),
            "t10k-images-idx3-ubyte.gz": next(mirror.rglob("t10k-images-idx3-ubyte.gz")),
            "model.onnx": models / "mnist_onnx.onnx",
            "my.pb": models / "simple_mnist_tf.prototxt",
            "model.tflite": models / "mnasnet_1.3_224.tflite",
            "float.tflite": models / "mnasnet_1.3_224.tflite",
            "model_int8.tflite": models / "mobilenet_v1_1.0_224_quant.tflite",
            "mobilenet_v2_1.0_224_quant.tflite": models / "mobilenet_v2_1.0_224_quant.tflite",
            "tiny-yolo.caffemodel": next(mirror.rglob("bvlc_alexnet.caffemodel")),
            "Downloads/VGG_ILSVRC_19_layers.caffemodel": next(mirror.rglob("VGG_ILSVRC_19_layers.caffemodel")),
            **dict.fromkeys(("go_kart.ppm", "kart.jpg", "hedgehog.jpg", "my-labrador.jpg", "dog.png"), picture),
            **{f"pictures/{path.name}": path for path in mirror.rglob("*.jpg") if path.is_file()},
        }.items():
            (files / name).parent.mkdir(exist_ok=True)
            shutil.copy(source, files / name)
        _checkpoint(mirror, files)
        (files / "farm.txt").write_text("root@imx8\nroot@imx93\n")

    return once(tmp_path_factory, "pages", make)


def _checkpoint(mirror: Path, folder: Path) -> None:
    """Write a graph with its checkpoint, and one with inputs that become constants."""
    from modelprep.formats.tensorflow.messages import message

    with tarfile.open(max(mirror.rglob("inception_v3_2016_08_28.tar.gz"))) as archive:
        (folder / "model.ckpt").write_bytes(archive.extractfile("inception_v3.ckpt").read())  # type: ignore[union-attr]
    packed = (REPOSITORY / "recipes" / "armnn-tf" / "inception_v3.pb.gz").read_bytes()
    (folder / "graph.pb").write_bytes(gzip.decompress(packed))
    graph = message("GraphDef")()
    graph.node.add(name="input", op="Placeholder").attr["dtype"].type = 1
    axes = graph.node.add(name="axes", op="Const")
    axes.attr["dtype"].type = axes.attr["value"].tensor.dtype = 3
    axes.attr["value"].tensor.tensor_shape.dim.add(size=2)
    axes.attr["value"].tensor.int_val.extend([1, 2])
    mean = graph.node.add(name="mean", op="Mean", input=["input", "axes"])
    mean.attr["T"].type, mean.attr["Tidx"].type = 1, 3
    (folder / "frozen.pb").write_bytes(graph.SerializeToString())
    graph = message("GraphDef")()
    for name, kind in (("input", 1), ("keep_prob", 1), ("is_training", 10)):
        node = graph.node.add(name=name, op="Placeholder")
        node.attr["dtype"].type = kind
    for name, op, inputs in (
        ("kept", "Mul", ["input", "keep_prob"]), ("switch", "Switch", ["input", "is_training"]),
        ("dropped", "Mul", ["switch:1", "keep_prob"]), ("seen", "Relu", ["switch"]),
        ("merge", "Merge", ["seen", "dropped"]), ("y", "Add", ["kept", "merge"]),
    ):  # fmt: skip
        graph.node.add(name=name, op=op, input=inputs).attr["T"].type = 1
    (folder / "dropout.pb").write_bytes(graph.SerializeToString())


class Sandbox:
    """A user at a shell: a home, a working folder, variables that last, and a network that is all stand-ins."""

    def __init__(self, root: Path, variables: dict[str, str]) -> None:
        self.root, self.folder, self.variables = root, root / "work", variables
        self.started: list[int] = []
        self.digest = hashlib.sha256((self.folder / "recipes-1.2.tar.gz").read_bytes()).hexdigest()

    def run(self, command: str) -> tuple[int, str]:
        """Run one command line; what needs no shell runs within this process."""
        for written, here in STANDS_FOR.items():
            command = command.replace(written, here)
        command = command.replace("DIGEST", self.digest)
        command = re.sub(r"\b(fetch|deploy|mirror) all\b", rf"\1 {ALL}", command)
        command = MAKES_DRY.sub(r"make --dry-run \1", command)
        words = shlex.split(command.replace("\\\n", " "), comments=True)
        if words[0] == "scp":
            (self.root / "sshd0" / "board" / words[-1].partition(":")[2]).mkdir(parents=True, exist_ok=True)
        if "-o" in words:
            (self.folder / words[words.index("-o") + 1]).unlink(missing_ok=True)
        if words[0] == "modelprep" and not re.search(r"[|&;<>$~*?{]", command.partition(" #")[0]):
            code, out, err = run_here(words[1:], self.folder, self.variables)
            return code, out + err
        script = f"{command}\ncode=$?; env -0 >{self.root}/variables; pwd >{self.root}/folder; exit $code"
        with (self.root / "told").open("w+") as told:
            shell = subprocess.Popen(
                ["bash", "-c", script], cwd=self.folder, env=self.variables, stdin=subprocess.DEVNULL, stdout=told,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self.started.append(shell.pid)
            code = shell.wait(timeout=300)
            told.seek(0)
            text = told.read()
        pairs = (pair.partition("=") for pair in (self.root / "variables").read_text().split("\0") if pair)
        self.variables = {name: value for name, _, value in pairs}
        self.folder = Path((self.root / "folder").read_text().strip())
        return code, text

    def close(self) -> None:
        """End what commands left running (`&`)."""
        for group in self.started:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)


def _linked(source: str, target: str) -> None:
    """Link what nobody writes into, the store's blobs, and copy the rest."""
    (os.link if "/blobs/" in source else shutil.copy2)(source, target)


def _programs(folder: Path, ssh: str) -> None:
    """Write the programs that commands call by name; the folder stands for a virtual environment's `bin` as well."""
    folder.mkdir()
    options = ssh.removeprefix("ssh ")
    for name, what in {
        "modelprep": f"{sys.executable} -m modelprep", "python": sys.executable,
        "ssh": f"{shutil.which('ssh')} {options}", "scp": f"{shutil.which('scp')} {options}",
    }.items():  # fmt: skip
        (folder / name).write_text(f'#!/bin/sh\nexec {what} "$@"\n')
        (folder / name).chmod(0o755)
    (folder / "activate").touch()


def _checkout(folder: Path) -> None:
    """Copy the checkout, with a virtual environment that is up to date."""
    for name in ("modelprep", "demo", "docs", "recipes", "tools", "tests"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, folder / name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(folder.parent / "bin")
    for stamp in ("core", "demo", "docs", "test", "pycaffe", "vela", "quantizer", "labgrid"):
        (folder / ".venv" / f"{stamp}.stamp").touch()


@pytest.fixture
def sandbox(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    world: Path,
    board: Callable[..., BoardServer],
) -> Iterator[Sandbox]:
    mirror, recipes = standin_mirror(tmp_path_factory)
    home, net, work = (tmp_path / name for name in ("home", "net", "work"))
    shutil.copytree(world / "files", work)
    shutil.copytree(world / "files" / "pictures", home / "Pictures")
    shutil.copy(work / "dog.png", home / "my-dog.png")
    shutil.copytree(world / "store", tmp_path / "store", copy_function=_linked)
    page = request.node.callspec.params["page"]
    if not any(command.startswith("git clone") for command in PAGES[page]):
        _checkout(work)
    archive = shutil.make_archive(str(work / "recipes-1.2"), "gztar", _own_recipes(tmp_path / "own"), "my-demos")
    for place in ("files.example.org/recipes-1.2.tar.gz", *(f"git.example.org/team/recipes/archive/refs/tags/{version}"
                  ".tar.gz" for version in ("v1", "v1.3"))):  # fmt: skip
        (net / "put" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(archive, net / "put" / place)
    urls = "".join(path.read_text("utf-8") for path in recipes.rglob("*.yaml"))
    boards = [board(sftp=True), board()]
    names = ["Host *", "Host imx93"]
    for server, name in zip(boards, names, strict=True):
        config = server.root / "ssh_config"
        config.write_text(config.read_text().replace("Host board", name))
        for program in re.findall(r"^run: (\S+-Armnn)", urls, re.MULTILINE):
            (server.root / "bin" / program).write_text("#!/bin/sh\n")
            (server.root / "bin" / program).chmod(0o755)
    ssh = joint_ssh(boards[::-1], tmp_path)
    _programs(tmp_path / "bin", ssh)
    hosts = {*re.findall(r"https?://([\w.-]+)", urls), *_OTHERS}
    with internet(net, mirror, hosts) as variables:
        kept = {name: value for name, value in os.environ.items() if name in NEEDS or name[:10] != "MODELPREP_"}
        made = Sandbox(tmp_path, kept | variables | {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY), "HOME": str(home),
            "XDG_CACHE_HOME": str(home / ".cache"), "XDG_STATE_HOME": str(home / ".state"), "MODELPREP_SSH": ssh,
            "MODELPREP_CACHE": str(tmp_path / "store"), "MODELPREP_RECIPES": str(recipes),
        })  # fmt: skip
        yield made
        made.close()


#: Hosts beside those of the recipes: of the pages, and the archives of last resort.
_OTHERS = ("cache.example.com", "files.example.org", "git.example.org", "archive.softwareheritage.org",
           "cdn.jsdelivr.net", "web.archive.org")  # fmt: skip


def _own_recipes(folder: Path) -> Path:
    """Write a recipe of the user's own, which comes with its file."""
    (folder / "my-demos").mkdir(parents=True)
    (folder / "my-demos" / "logo.yaml").write_text(
        "schema: 1\ndemo: Logo\nsummary: a logo\nstatus: ready\ntree: Logo\nassets:\n  model:\n"
        "    urls: ['https://files.example.org/recipes-1.2.tar.gz']\n    pin: first-use\n"
        "    licence: {name: MIT, source: our own}\ninstall:\n  models/logo.bin: $model\nrun: logo\n"
    )
    return folder


@pytest.mark.parametrize("page", [page for page, found in PAGES.items() if found])
def test_the_commands_of_a_page_work_as_they_stand(page: str, sandbox: Sandbox) -> None:
    left_out, failed = [], []
    for command in [*BEFORE.get(page, ()), *PAGES[page]]:
        if not command.startswith(tuple(NOT_RUN)):
            missing = [tool for tool, pattern in NEEDS.items() if re.search(pattern, command.partition(" #")[0].strip())
                       and not (os.environ.get(tool) or shutil.which(tool))]  # fmt: skip
            if missing:
                left_out += missing
                continue
            code, told = sandbox.run(command)
            last = command.rpartition("&& ")[2] if command.startswith("modelprep") else command
            words = [*shlex.split(last.replace("\\\n", " "), comments=True), ""]
            if code and (words[0] != "modelprep" or ANSWERS.get(words[1]) != code):
                failed.append(f"{command}: exit status {code}\n{told[-1500:]}")
    assert not failed, "\n\n".join(failed)
    if left_out:
        pytest.skip(f"ran all but what needs {', '.join(sorted(set(left_out)))}, which is not here")


def test_what_is_not_run_is_still_a_command_and_still_on_a_page() -> None:
    every = [command for found in PAGES.values() for command in found]
    assert len(every) > 150
    for begin in NOT_RUN:
        meant = [command for command in every if command.startswith(begin)]
        assert meant, f"no page has '{begin}'"
        for command in meant:
            assert subprocess.run(["bash", "-n", "-c", command], check=False).returncode == 0, command


def test_no_page_hides_a_command_where_it_is_not_run() -> None:
    """A command stands in a block for a console; in a sentence it is parsed (`test_the_documents.py`)."""
    for page in PAGES:
        text = (REPOSITORY / page).read_text("utf-8")
        rest = re.sub(r"^ *```(console|text)\n.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
        assert re.findall(r"^(?: {4,}(?:\$ )?|\$ )(?:modelprep|make|pip|git|python3?) .*$", rest, re.MULTILINE) == [], (
            page
        )
