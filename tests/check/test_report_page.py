"""The report: whole HTML, everything escaped, nothing loaded from anywhere; the command around it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from formats.tflite.tiny_tflite import tiny

from modelprep.check.board.preprocess import CAFFE_MEAN_BGR, Preprocessing
from modelprep.check.demos import Checked
from modelprep.check.lint.findings import Finding
from modelprep.check.proof.types import Proof
from modelprep.check.report import page, png, thumbnails
from modelprep.check.types import Files, Judged, Verdict
from modelprep.recipe.schema import Recipe
from modelprep.targets.armnn_tests import of_version

if TYPE_CHECKING:
    from conftest import Tree

np = pytest.importorskip("numpy", reason="the report's pictures need the check extra (numpy)")

HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
VOID = {"meta", "img", "br", "link", "input"}


class Reader(HTMLParser):
    """Holds a page to what a browser must not have to mend: every element that opens is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def checked(**changes: Any) -> Checked:
    test = of_version()["CaffeAlexNet-Armnn"]
    values = np.zeros((1, 3, 227, 227), np.float32)
    case = Judged(0, HOSTILE, 2, 283, ((283, 0.5), (2, 0.25), (5, -1.0)), HOSTILE, seen=values)
    verdict = Verdict(
        test, "fails", HOSTILE, HOSTILE, (Finding("CF05", HOSTILE, HOSTILE),), (case,), HOSTILE, (HOSTILE,)
    )
    recipe = Recipe(HOSTILE, HOSTILE, Path("r.yaml"), summary=HOSTILE)
    proof = Proof("caffe.bake", "unknown", HOSTILE)
    return Checked(recipe, verdict, files=Files(Path("/nowhere"), Path("/nowhere")), proofs=(proof,), **changes)


def test_a_test_that_the_board_lacks_says_so_once(tmp_path: Path) -> None:
    recipe = Recipe("g/later", "Later-Armnn", Path("r.yaml"), absent="not in 19.02")
    text = read(page.page([Checked(recipe, None, recipe.absent)], tmp_path)).text
    assert text.partition("Later-Armnn")[2].partition("Later-Armnn")[0].count("not in 19.02") == 1


def test_names_from_outside_stay_text(tmp_path: Path) -> None:
    text = page.page([checked()], tmp_path)
    reader = read(text)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert not [attrs for _, attrs in reader.tags if any(name.startswith("on") for name in attrs)]
    assert reader.text.count(HOSTILE) >= 8


def test_a_page_loads_nothing(tmp_path: Path) -> None:
    for tag, attrs in read(page.page([checked()], tmp_path)).tags:
        assert tag not in ("script", "link", "iframe", "object", "base", "form")
        for name in ("src", "href", "action"):
            assert (attrs.get(name) or "#").startswith(("data:image/png;base64,", "#", "https://", "http://"))
            if name == "src" and attrs.get(name):
                assert attrs[name].startswith("data:")  # type: ignore[union-attr]
    policy = next(attrs for _, attrs in read(page.page([], tmp_path)).tags if "http-equiv" in attrs)
    assert "default-src 'none'" in str(policy["content"])


def test_a_page_about_nothing_is_whole(tmp_path: Path) -> None:
    nothing = Checked(Recipe("a/b", "demo", Path("r.yaml")), None, "its program compares nothing")
    assert "compares nothing" in read(page.page([nothing], tmp_path)).text
    read(page.page([], tmp_path))


def test_a_png_says_what_was_put_in() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    for picture in (pixels, pixels[:, :, 0]):
        data = png.encode(picture)
        width, height, depth, colour = struct.unpack(">2I2B", data[16:26])
        assert (width, height, depth, colour) == (7, 5, 8, 2 if picture.ndim == 3 else 0)
        start = data.index(b"IDAT")
        length = struct.unpack(">I", data[start - 4 : start])[0]
        rows = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + length]), np.uint8).reshape(5, -1)
        assert set(rows[:, 0]) == {2}
        back = np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8)
        assert np.array_equal(back.reshape(picture.shape), picture)


def test_what_the_network_sees_is_the_picture_again() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    floats = pixels.astype(np.float32)
    caffe = (floats[:, :, ::-1] - np.array(CAFFE_MEAN_BGR, np.float32)).transpose(2, 0, 1)[None]
    assert np.array_equal(thumbnails.as_picture(caffe, Preprocessing("caffe", 4, 4)), pixels)
    mean, stddev = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    onnx = ((floats / 255 - np.array(mean)) / np.array(stddev)).transpose(2, 0, 1)[None]
    how = Preprocessing("image", 4, 4, "NCHW", mean=mean, stddev=stddev)
    assert np.array_equal(thumbnails.as_picture(onnx, how), pixels)
    centred = (floats / 127.5 - 0.5)[None]
    assert np.array_equal(thumbnails.as_picture(centred, Preprocessing("image", 4, 4, centred=True)), pixels)
    digit = np.arange(784, dtype=np.float32) % 256
    assert thumbnails.as_picture(digit / 255, Preprocessing("mnist", scale=True)).reshape(-1).tolist() == digit.tolist()
    # Bytes of a quantised network are shown as they are fed.
    assert np.array_equal(thumbnails.as_picture(pixels[None], Preprocessing("image", 4, 4)), pixels)


def test_a_thumbnail_is_no_longer_than_asked() -> None:
    for shape in ((1000, 7, 3), (321, 320, 3), (20, 30, 3), (1, 1000, 3)):
        picture = np.full(shape, 9, np.uint8)
        small = thumbnails.thumbnail(picture, 320)
        assert max(small.shape[:2]) <= 320
        assert (small == 9).all()


# -- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def fetched(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in's tree as `fetch` leaves it, but for the manifest."""
    for name in ("cv2", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(name, reason="the models run in the check extra's runtimes")
    monkeypatch.setenv("MODELPREP_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tree.models.parent.parent


def run(*arguments: object) -> int:
    from modelprep.cli.main import invoke

    return invoke([str(argument) for argument in arguments])


def test_exit_codes_of_check(
    fetched: Path, tree: Tree, capsys: pytest.CaptureFixture[str], hide: Callable[[str], None]
) -> None:
    name = "armnn-caffe/mnist"
    assert run("check", name, "--out", fetched) == 0
    assert "will pass" in capsys.readouterr().out
    labels = tree.path("t10k-labels.idx1-ubyte")
    content = bytearray(labels.read_bytes())
    content[8] ^= 1
    labels.write_bytes(bytes(content))
    assert run("check", name, "--out", fetched, "--json") == 1
    (told,) = json.loads(capsys.readouterr().out.splitlines()[-1])["checks"]
    assert told["outcome"] == "fails"
    assert told["message"].startswith("Prediction for test case 0 (")
    assert run("check", name, "--out", fetched, "-i", "3") == 0
    assert run("check", name, "--out", fetched, "--lint-only") == 0
    hide("cv2")
    assert run("check", name, "--out", fetched) == 1
    assert "Arm NN's reference backend" in capsys.readouterr().out
    # A picture that the board's decoder reads and this one does not: nobody can say.
    tree.path("Dog.jpg").write_bytes(b"8BPS" + bytes(60))
    assert run("check", "armnn-tflite/mobilenet-v1-quant", "--out", fetched) == 7
    capsys.readouterr()


def test_a_folder_of_pictures_is_searched(
    fetched: Path, tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for name, as_name in (("Cat.jpg", "kitten.jpg"), ("Dog.jpg", "hound.jpg")):
        shutil.copy(tree.path(name), album / as_name)
    (album / "notes.txt").write_text("no picture")
    command = ("check", "armnn-tflite/mobilenet-v1-quant", "--out", fetched, "--find-picture", album)
    assert run(*command, "--json") == 0
    pictures = json.loads(capsys.readouterr().out)["pictures"]
    passing = {(one["file"], Path(one["picture"]).name) for one in pictures if one["passes"]}
    assert passing == {("Dog.jpg", "hound.jpg"), ("Cat.jpg", "kitten.jpg")}
    for path in album.glob("*.jpg"):
        path.unlink()
    assert run(*command) == 1
    assert run("check", "armnn-caffe/mnist", "--out", fetched, "--find-picture", album) == 2
    capsys.readouterr()


def test_a_fetched_conversion_is_proven_once_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import modelprep
    from modelprep.check.proof import prove as proof_module

    pytest.importorskip("ai_edge_litert", reason="TF Lite models run in LiteRT, of the check extra")
    recipes = tmp_path / "recipes" / "own"
    recipes.mkdir(parents=True)
    (recipes / "net.tflite").write_bytes(data := tiny())
    (recipes / "net.yaml").write_text(
        "schema: 1\ndemo: Own\nsummary: a net of our own\nstatus: ready\ntree: Own\nassets:\n  model:\n"
        f"    urls: [file:net.tflite]\n    sha256: {hashlib.sha256(data).hexdigest()}\n    pinned_by: this test\n"
        "    licence: CC0-1.0\nsteps:\n  - id: named\n    uses: tflite.rename_io\n"
        "    with: {model: $model, outputs: {MobilenetV2/Predictions/Softmax: output}}\n"
        "install:\n  models/net.tflite: $named\n"
    )
    folders = {"out": tmp_path / "out", "cache": tmp_path / "cache"}
    assert modelprep.fetch(["own/net"], recipes=[recipes.parent], offline=True, **folders).exit_code == 0
    command = ("check", "own/net", "--recipes", recipes.parent, "--out", folders["out"], "--cache", folders["cache"])
    for _ in range(2):
        run(*command, "--json")
        *events, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        (told,) = last["checks"]
        (proof,) = told["proofs"]
        proving = [(event["event"], event["label"]) for event in events if event["task"].startswith("prove:")]
        assert proving == [(kind, "Own: proof of tflite.rename_io") for kind in ("start", "done")]
        assert (proof["step"], proof["outcome"], proof["difference"]) == ("tflite.rename_io", "same", 0.0)
        monkeypatch.setattr(proof_module, "measure", None)  # the second time it is only read


def test_the_page_tells_where_each_file_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import modelprep

    recipes = tmp_path / "recipes" / "own"
    recipes.mkdir(parents=True)
    (recipes / "net.tflite").write_bytes(data := tiny())
    digest = hashlib.sha256(data).hexdigest()
    (recipes / "net.yaml").write_text(
        "schema: 1\ndemo: Own\nsummary: a net of our own\nstatus: ready\ntree: Own\nassets:\n  model:\n"
        f"    urls: [file:net.tflite]\n    sha256: {digest}\n    pinned_by: this test\n"
        "    licence: CC0-1.0\nsteps:\n  - id: named\n    uses: tflite.rename_io\n"
        "    with: {model: $model, outputs: {MobilenetV2/Predictions/Softmax: output}}\n"
        "install:\n  models/net.tflite: $named\n"
    )
    folders = {"out": tmp_path / "out", "cache": tmp_path / "cache"}
    assert modelprep.fetch(["own/net"], recipes=[recipes.parent], offline=True, **folders).exit_code == 0
    report = tmp_path / "report.html"
    run("check", "own/net", "--recipes", recipes.parent, "--out", folders["out"], "--cache", folders["cache"],
        "--html", report)  # fmt: skip
    capsys.readouterr()
    installed = folders["out"] / "Own" / "models" / "net.tflite"
    text = read(report.read_text()).text
    for fact in ("net.tflite", "CC0-1.0", digest, hashlib.sha256(installed.read_bytes()).hexdigest(),
                 "tflite.rename_io (version "):  # fmt: skip
        assert fact in text, fact
    assert "another file" not in text
    installed.chmod(0o644)
    installed.write_bytes(b"spoilt")
    run("check", "own/net", "--recipes", recipes.parent, "--out", folders["out"], "--cache", folders["cache"],
        "--html", report)  # fmt: skip
    capsys.readouterr()
    assert "what lies there now is another file, or none" in read(report.read_text()).text


def test_a_rule_is_told_once_with_every_place_that_goes_against_it(tmp_path: Path) -> None:
    found = tuple(Finding("ON02", f"initialiser w{number}", "raw_data") for number in range(40))
    one = checked()
    assert one.verdict is not None
    text = read(page.page([replace(one, verdict=replace(one.verdict, findings=found))], tmp_path)).text
    assert text.count("ON02 reject") == 1
    assert [f"initialiser w{n} (raw_data)" in text for n in (0, 10, 11, 39)] == [True, True, False, False]
    assert "and 29 more" in text


def test_the_class_that_is_wanted_is_marked_among_the_five(tmp_path: Path) -> None:
    html = page.page([checked()], tmp_path)
    assert html.count("<b class=wanted>") == 1
    assert "tiger shark (3)" not in html
    assert "great white shark (2) <b class=wanted>wanted</b>" in html


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two colours (#rrggbb)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_on_what_lies_below_it(theme: str) -> None:
    style = resources.files("modelprep.pages").joinpath("style.css").read_text("utf-8")
    light, _, rest = style.partition("@media (prefers-color-scheme: dark)")
    dark = rest.partition("* {")[0]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light if theme == "light" else dark))
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for text, below in (
        ("ink", "ground"), ("ink", "card"), ("ink", "bar"), ("ink", "first"), ("soft", "card"), ("soft", "ground"),
        ("good", "good-ground"), ("bad", "bad-ground"), ("open", "open-ground"), ("good", "card"), ("bad", "card"),
        ("open", "card"),
    ):  # fmt: skip
        assert contrast(colours[text], colours[below]) >= 4.5, (text, below)


# -- in a browser --------------------------------------------------------------------------------------------------


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[[str, int], dict[str, Any]]:
    """Draw a page in Chromium: what a script of the test's own finds in it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium to be drawn")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"]  # fmt: skip
    script = """<script>onload = () => {
      const root = document.documentElement, wide = [];
      for (const one of document.body.querySelectorAll('*'))
        if (one.getBoundingClientRect().right > innerWidth + 1) wide.push(one.tagName + ' ' + one.textContent);
      document.title = JSON.stringify({
        window: innerWidth, page: root.scrollWidth, wide: wide.slice(0, 5),
        pictures: [...document.images].filter(one => one.naturalWidth).length,
        ground: getComputedStyle(document.body).backgroundColor,
      });
    }</script>"""

    def draw(html: str, width: int, *more: str) -> dict[str, Any]:
        # All that can be opened is open.
        html = html.replace("<details", "<details open").replace("</main>", f"</main>{script}")
        probe = tmp_path / "probe.html"
        probe.write_text(html.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'"))
        done = subprocess.run(
            [browser, *flags, *more, f"--window-size={width},900", "--dump-dom", probe.as_uri()],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        title = done.stdout.partition("<title>")[2].partition("</title>")[0]
        found: dict[str, Any] = json.loads(unescape(title))
        return found

    return draw


def test_the_page_of_a_run_in_a_real_browser(
    fetched: Path, tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    shutil.copy(tree.path("Dog.jpg"), tree.path("Cat.jpg"))
    report = tmp_path / "report.html"
    targets = ("armnn-caffe/mnist", "armnn-tflite/mobilenet-v1-quant")
    assert run("check", *targets, "--out", fetched, "--html", report) == 1
    capsys.readouterr()
    reader = read(report.read_text())
    assert "Prediction for test case 1 (209) is incorrect (should be 283)" in reader.text
    # Five digits; three pictures, each beside what the network sees.
    assert sum(tag == "img" for tag, _ in reader.tags) == 5 + 3 * 2
    for width in (390, 1200):
        found = request.getfixturevalue("drawn")(report.read_text(), width)
        assert found["pictures"] == 11
        assert (found["wide"], found["page"] <= found["window"]) == ([], True)


@pytest.mark.slow
def test_long_names_run_out_of_no_phone_s_screen(drawn: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    long = "models/" + "a_very_long_name_without_a_blank" * 12
    one = checked()
    assert one.verdict is not None
    case = replace(one.verdict.cases[0], file=long)
    verdict = replace(
        one.verdict, message=long, hint=long, warnings=(long,), cases=(case,), findings=(Finding("CF05", long, long),)
    )
    recipe = replace(one.recipe, demo=long, summary=long)
    proofs = (Proof(long, "unknown", long),)
    found = drawn(page.page([replace(one, recipe=recipe, verdict=verdict, proofs=proofs)], tmp_path), 390)
    assert (found["wide"], found["page"] <= found["window"]) == ([], True)


@pytest.mark.slow
def test_the_page_follows_the_system_s_light_or_dark(drawn: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    html = page.page([checked()], tmp_path)
    grounds = [
        drawn(html, 1200, f"--blink-settings=preferredColorScheme={scheme}")["ground"] for scheme in (0, 1)
    ]  # 0 is dark
    assert grounds == ["rgb(20, 23, 29)", "rgb(244, 245, 247)"]


def test_boxes_wanted_and_found_are_drawn_over_what_the_network_sees(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    from modelprep.check.board.boxes import Detection, wanted

    test = of_version()["TfLiteMobileNetSsd-Armnn"]
    files = Files(tmp_path / "models", tmp_path / "data")
    files.data.mkdir()
    Image.new("RGB", (30, 20), (90, 60, 30)).save(files.data / "Cat.jpg")
    found = Detection(17, 0.5, (0.25, 0.125, 0.75, 0.875))
    case = Judged(0, "Cat.jpg", 16, 17, ((17, 0.5),), "no", (found,), wanted(test.cases[0]), np.zeros((1, 300, 300, 3)))
    html = page.page([replace(checked(), verdict=Verdict(test, "fails", "no", cases=(case,)), files=files)], tmp_path)
    assert "<rect class=found x='0.2500' y='0.1250' width='0.5000' height='0.7500'/>" in html
    assert "<rect class=asked x='0.2090'" in html
    assert "best found: 0.5 at (0.25, 0.125, 0.75, 0.875)" in html


def test_many_cases_are_counted_and_not_all_drawn(tmp_path: Path) -> None:
    test = of_version()["CaffeMnist-Armnn"]
    values = np.zeros((1, 1, 28, 28), np.float32)
    cases = tuple(
        Judged(number, "images", None, 7, ((7, 1.0),), seen=values if number < 20 else None) for number in range(500)
    )
    html = page.page([replace(checked(), verdict=Verdict(test, "passes", cases=cases))], tmp_path)
    assert html.count("class=case>") == 20
    assert "480 more cases were run; 0 of all 500 fail." in html
    assert "and 490 more" in html
