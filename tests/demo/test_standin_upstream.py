"""Where the stand-in lies, how it is served, what the overlay changes, and the whole road along it."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import threading

import pytest
import yaml

from modelprep.recipe.catalogue import Catalogue, SharedAssets

ALGORITHMS = {"sha256", "sha384", "sha512", "sha1", "md5", "git"}
#: The recipes that the spine was built with; the demo must have every asset of them.
SPINE = {
    "armnn-caffe/mnist", "armnn-onnx/mnist", "armnn-tf/cifar10", "armnn-tf/mnist", "armnn-tflite/mobilenet-v1-quant",
    "opencv-dnn/logistic-regression", "tflite/benchmark", "tflite/label-image",
}  # fmt: skip


@pytest.fixture(scope="session")
def recipes(repository, tmp_path_factory):
    """The shipped recipes, as they are when the tests begin."""
    folder = tmp_path_factory.mktemp("shipped") / "recipes"
    shutil.copytree(repository / "recipes", folder)
    return folder


@pytest.fixture(scope="session")
def files(made, recipes):
    from demo.layout import addresses

    return addresses(SharedAssets([recipes / "assets"]), made)


@pytest.fixture(scope="session")
def standin(tmp_path_factory, files):
    from demo.layout import write

    folder = tmp_path_factory.mktemp("upstream")
    write(folder, files)
    return folder


@pytest.fixture(scope="session")
def overlaid(tmp_path_factory, recipes, standin):
    from demo.layout import read
    from demo.overlay import overlay

    out = tmp_path_factory.mktemp("overlay")
    return out, overlay(recipes, out, read(standin, SharedAssets([recipes / "assets"])))


@pytest.fixture
def serve(standin):
    from demo.serve import Server

    started = []

    def start(**options):
        server = Server(standin, **options)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        server.server_close()
        thread.join()


def get(server, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    try:
        connection.request("GET", path, headers={key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def without_pins(node):
    """A recipe's data with each digest and size hidden, and how many there were."""
    count = 0

    def walk(value):
        nonlocal count
        if isinstance(value, dict):
            hidden = {}
            for key, inner in value.items():
                if (key in ALGORITHMS and isinstance(inner, str)) or (key == "size" and isinstance(inner, int)):
                    count += 1
                    hidden[key] = "pin"
                else:
                    hidden[key] = walk(inner)
            return hidden
        return [walk(item) for item in value] if isinstance(value, list) else value

    return walk(node), count


def test_the_overlay_differs_from_the_shipped_recipes_in_digests_and_sizes_only(recipes, overlaid):
    out, counts = overlaid
    shipped = sorted(path.relative_to(recipes) for path in recipes.rglob("*.yaml"))
    everything = sorted(path.relative_to(recipes) for path in recipes.rglob("*") if path.is_file())
    assert sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file()) == everything
    for relative in set(everything) - set(shipped):
        assert (out / relative).read_bytes() == (recipes / relative).read_bytes()
    replaced = 0
    for relative in shipped:
        before, after = (recipes / relative).read_text("utf-8"), (out / relative).read_text("utf-8")
        data_before, pins_before = without_pins(yaml.safe_load(before))
        data_after, pins_after = without_pins(yaml.safe_load(after))
        assert data_before == data_after
        assert pins_before == pins_after
        # And as text: nothing but the values of such keys, comments and order included.
        pairs = list(zip(before.splitlines(), after.splitlines(), strict=True))
        changed = [pair for pair in pairs if pair[0] != pair[1]]
        for old, new in changed:
            pin = r"\b(sha256|sha384|sha512|sha1|md5|git|size): '?[0-9a-f]+'?"
            assert re.sub(pin, "pin", old) == re.sub(pin, "pin", new)
            assert re.search(pin, old)
        assert bool(changed) == bool(counts[relative])
        replaced += counts[relative]
    assert replaced > 40


def test_every_digest_of_the_overlay_is_that_of_the_file_at_every_address(overlaid, standin, made):
    from demo.layout import digest
    from modelprep.fetch.urls import mirror_path
    from modelprep.formats.archive.members import extract_member

    assets = SharedAssets([overlaid[0] / "assets"])
    for asset_id in made:
        asset = assets[asset_id]
        assert asset.sources
        for source in asset.sources:
            path = standin / mirror_path(source.url)
            if source.member:
                assert source.digests or asset.pin == "first-use"
                for algorithm, value in source.digests.values.items():
                    assert digest(algorithm, path.read_bytes()) == value
                assert source.size in (None, path.stat().st_size)
                extract_member(path, source.member, standin / ".member")
                path = standin / ".member"
            data = path.read_bytes()
            assert asset.digests or asset.members or asset.pin == "first-use"
            for member, pins in asset.members.items():
                extract_member(path, member, standin / ".inner")
                for algorithm, value in pins.values.items():
                    assert digest(algorithm, (standin / ".inner").read_bytes()) == value
                (standin / ".inner").unlink()
            for algorithm, value in asset.digests.values.items():
                assert digest(algorithm, data) == value
            assert asset.size in (None, len(data))
    (standin / ".member").unlink()


def test_the_standin_lies_at_addresses_that_the_shipped_recipes_name(recipes, files):
    named = {source.url for asset in SharedAssets([recipes / "assets"]).values() for source in asset.sources}
    assert set(files) <= named


def test_the_demo_covers_every_recipe_that_it_has_the_assets_of(recipes, standin):
    from demo.run import targets

    found = set(targets(recipes, standin))
    assert found >= SPINE
    assert found <= set(Catalogue([recipes]).names())


def test_the_shipped_digests_are_not_those_of_the_standin(recipes, made):
    from demo.layout import digest

    assets = SharedAssets([recipes / "assets"])
    for asset_id, item in made.items():
        best = assets[asset_id].digests.best()
        if best is not None:
            assert digest(best[0], item.data) != best[1]
        else:
            assert assets[asset_id].pin == "first-use"


def test_a_digest_that_could_be_read_as_a_number_stays_a_string(tmp_path, monkeypatch):
    from demo import overlay
    from demo.layout import Found

    values = iter(["1" * 40, "12e45", "ab" * 20])
    monkeypatch.setattr(overlay, "digest", lambda *_: next(values))
    recipe = tmp_path / "in" / "assets" / "a.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text("assets:\n  a: {sha1: ab, git: 'cd', md5: ef, size: 3}  # kept\n")
    overlay.overlay(tmp_path / "in", tmp_path / "out", Found({}, {"a": b"12345"}))
    text = (tmp_path / "out/assets/a.yaml").read_text()
    assert yaml.safe_load(text)["assets"]["a"] == {"sha1": "1" * 40, "git": "12e45", "md5": "ab" * 20, "size": 5}
    assert text.endswith("# kept\n")


def test_an_asset_that_no_recipe_knows_is_an_error():
    from demo.families import Made
    from demo.layout import addresses

    with pytest.raises(ValueError, match="which no recipe knows"):
        addresses({}, {"ghost": Made("ghost", b"")})


def test_archives_get_every_member_that_some_asset_wants_of_them(files):
    import io
    import zipfile

    [url] = [u for u in files if u.host.startswith("storage") and u.path.endswith("quant_and_labels.zip")]
    with zipfile.ZipFile(io.BytesIO(files[url])) as archive:
        assert sorted(archive.namelist()) == ["labels_mobilenet_quant_v1_224.txt", "mobilenet_v1_1.0_224_quant.tflite"]


LENET = "/github.com/ARM-software/ML-examples/raw/eef98b9/armnn-mnist/model/lenet_iter_9000.caffemodel"


def test_the_server_gives_files_ranges_and_validators(serve, made):
    server, data = serve(), made["lenet-caffemodel"].data
    status, headers, body = get(server, LENET)
    assert (status, body) == (200, data)
    tag = headers["ETag"]
    status, headers, body = get(server, LENET, Range="bytes=1000-", If_Range=tag)
    assert (status, body) == (206, data[1000:])
    assert headers["Content-Range"] == f"bytes 1000-{len(data) - 1}/{len(data)}"
    assert get(server, LENET, Range="bytes=5-9")[2] == data[5:10]
    assert get(server, LENET, Range="bytes=1000-", If_Range='"other"')[0] == 200
    assert get(server, LENET, Range=f"bytes={len(data)}-")[0] == 416


def test_the_server_has_the_faults_of_real_servers(serve, made):
    server = serve()
    assert get(server, "/yann.lecun.com/exdb/mnist/t10k-images-idx3-ubyte.gz")[0] == 404
    status, headers, body = get(server, "/yann.lecun.com/exdb/mnist/t10k-labels-idx1-ubyte.gz")
    assert (status, headers["Content-Type"]) == (200, "text/html")
    assert b"<html>" in body
    path = (
        "/github.com/onnx/models/raw/cbda9ebd037241c6c6a0826971741d5532af8fa4/vision/classification/mnist/model/"
        "mnist-8.tar.gz"
    )
    assert get(server, path)[2].startswith(b"version https://git-lfs.github.com/spec/v1\n")
    path = "/ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz"
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(server, path)
    assert 0 < len(caught.value.partial) < len(made["mnist-t10k-images"].data)
    assert get(server, path)[2] == made["mnist-t10k-images"].data


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "/", "//etc/passwd", "/x%00y"])
def test_the_server_gives_nothing_from_outside_its_folder(path, serve):
    assert get(serve(faults={}), path)[0] == 404


def test_the_servers_brake_holds(serve):
    import time

    server = serve(rate=200_000)
    start = time.monotonic()
    get(server, "/ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz")  # 1 kB: at once
    assert time.monotonic() - start < 2
    start = time.monotonic()
    data = get(server, "/raw.githubusercontent.com/opencv/opencv/4.0.1/samples/data/data01.xml")[2]
    assert time.monotonic() - start >= len(data) / 200_000 * 0.9


def modelprep(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(cwd), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, "-m", "modelprep", *map(str, arguments)],
        cwd=cwd, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_the_whole_road_along_the_standin(serve, overlaid, tmp_path, repository, made):
    server = serve()
    options = ["--mirror", server.address, "--recipes", overlaid[0], "--out", tmp_path / "out"]
    options += ["--cache", tmp_path / "cache", "--no-archives"]
    run = modelprep("fetch", *sorted(SPINE), *options, "--json", cwd=repository)
    assert run.returncode == 0, run.stderr + run.stdout
    assert json.loads(run.stdout.splitlines()[-1])["event"] == "summary"
    tree = tmp_path / "out" / "ArmnnTests"
    assert (tree / "models/lenet_iter_9000.caffemodel").read_bytes() == made["lenet-caffemodel"].data
    assert (tree / "models/mnist_onnx.onnx").read_bytes() == made["onnx-mnist"].data
    assert (tree / "data/t10k-labels.idx1-ubyte").read_bytes()[8:18] == bytes([7, 2, 1, 0, 4, 1, 4, 9, 5, 9])
    if shutil.which("sha256sum"):
        assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tree).returncode == 0
    statuses = {status for _, status in server.log}
    assert 404 in statuses  # the fallbacks were really needed
    before = len(server.log)
    again = modelprep("fetch", *sorted(SPINE), *options, cwd=repository)
    assert again.returncode == 0
    assert len(server.log) == before
    # The pictures, the digits and the models that came out classify.
    from demo.run import classify

    assert classify(tmp_path / "out")


def test_classify_says_no_when_an_answer_is_wrong(made, tmp_path):
    import gzip

    from demo.run import classify

    tree = tmp_path / "ArmnnTests"
    (tree / "data").mkdir(parents=True)
    (tree / "models").mkdir()
    (tree / "data/t10k-images.idx3-ubyte").write_bytes(gzip.decompress(made["mnist-t10k-images"].data))
    labels = bytearray(gzip.decompress(made["mnist-t10k-labels"].data))
    (tree / "models/simple_mnist_tf.prototxt").write_bytes(made["simple-mnist-tf"].data)
    (tree / "data/t10k-labels.idx1-ubyte").write_bytes(labels)
    assert classify(tmp_path)
    labels[8] = 3
    (tree / "data/t10k-labels.idx1-ubyte").write_bytes(labels)
    assert not classify(tmp_path)


@pytest.mark.slow
def test_the_documented_commands_make_the_standin_and_its_overlay(tmp_path, repository, standin, recipes):
    """In another process, which stands for another machine: one thread, other kernels, another hash seed."""
    command = [sys.executable, "demo/standin.py", "--recipes", recipes]
    environment = {
        "PYTHONHASHSEED": "7", "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Prescott", "PATH": "/usr/bin:/bin",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX",
    }  # fmt: skip
    made = subprocess.run(
        [*command, "make", tmp_path / "up"], cwd=repository, env=environment, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    ours = {path.relative_to(standin): path.read_bytes() for path in standin.rglob("*") if path.is_file()}
    assert made.stdout.startswith(f"{len(ours)} addresses")
    theirs = {
        path.relative_to(tmp_path / "up"): path.read_bytes() for path in (tmp_path / "up").rglob("*") if path.is_file()
    }
    assert ours == theirs
    run = subprocess.run([*command, "overlay", tmp_path / "up", tmp_path / "re"], cwd=repository, capture_output=True)
    assert run.returncode == 0
    assert Catalogue([tmp_path / "re"]).names() == Catalogue([recipes]).names()
    run = subprocess.run([*command, "overlay", tmp_path / "re", tmp_path / "x"], cwd=repository, capture_output=True)
    assert run.returncode != 0
    assert b"contains nothing of these recipes" in run.stderr
    assert not (tmp_path / "x").exists()


def test_sources_of_one_asset_that_do_not_agree_are_an_error(recipes, standin, tmp_path):
    from demo.layout import read

    shutil.copytree(standin, tmp_path / "up")
    odd = tmp_path / "up/ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz"
    odd.unlink()
    odd.write_bytes(b"other")
    with pytest.raises(ValueError, match="mnist-t10k-labels"):
        read(tmp_path / "up", SharedAssets([recipes / "assets"]))


def test_the_makefile_has_a_target_for_each_group(repository):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    told = subprocess.run(["make", "help"], cwd=repository, capture_output=True, text=True, check=True).stdout
    for group in Catalogue([repository / "recipes"]).groups():
        assert group in told
        planned = subprocess.run(
            ["make", "-n", group, "OUT=there", "ARGS=--dry-run"], cwd=repository, capture_output=True, text=True
        )
        assert f"modelprep fetch {group} --out 'there' --dry-run" in planned.stdout
    for target in ("test", "check", "bench", "demo", "clean", "all"):
        assert re.search(rf"^  {target}\b", told, re.MULTILINE)


def test_the_makefile_refuses_an_old_python(repository, tmp_path):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    old = tmp_path / "python-of-old"
    # Stands for an interpreter that is older: it runs the check with another version number.
    old.write_text(f"#!/bin/sh\nshift\nexec '{sys.executable}' -c \"import sys; sys.version_info = (3, 9, 2)\n$1\"\n")
    old.chmod(0o755)
    run = subprocess.run(
        ["make", "venv", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"], cwd=repository, capture_output=True, text=True
    )
    assert run.returncode != 0
    assert "Python 3.10 or newer is needed; this is 3.9" in run.stderr
    assert not (tmp_path / "venv").exists()


def test_containers_are_read_by_everyone_and_depend_on_their_content_alone():
    import gzip
    import io
    import tarfile
    import zipfile

    from demo import containers

    for size in (0, 1, 65535, 65536, 200_000):
        assert gzip.decompress(containers.gz(bytes(size))) == bytes(size)
    packed = containers.tar_gz({"a/b": b"1", "c": b"22"}, prefix="./")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert [member.name for member in archive] == ["./a", "./a/b", "./c"]
    with zipfile.ZipFile(io.BytesIO(containers.zipped({"a/b": b"1"}))) as archive:
        assert archive.testzip() is None
        assert archive.read("a/b") == b"1"
    assert containers.zipped({"x": b"1"}) == containers.zipped({"x": b"1"})
