"""Which recipes there are, and which of them a target means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelprep.errors import RecipeError, UsageError
from modelprep.recipe import catalogue as module
from modelprep.recipe import yaml_tree
from modelprep.recipe.catalogue import Catalogue

SHA = "0123456789abcdef" * 4


def write(folder: Path, name: str, body: str = "", *, demo: str = "") -> Path:
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"schema: 1\ndemo: {demo or name.rpartition('/')[2].title()}\n{body}", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    base = tmp_path / "base"
    (base / "assets").mkdir(parents=True)
    asset = f"    urls: [https://example.org/%s]\n    sha256: {SHA}\n"
    (base / "assets" / "pictures.yaml").write_text(
        "schema: 1\nassets:\n  dog:\n" + asset % "dog" + "  cat:\n" + asset % "cat", encoding="utf-8"
    )
    write(base, "caffe/mnist", "assets: {d: {use: dog}}\nvariants: {small: {summary: s}}\n", demo="CaffeMnist")
    write(base, "caffe/vgg", demo="CaffeVGG")
    write(base, "tf/mnist", demo="TfMnist")
    return base


def test_names_and_groups_come_without_reading_a_recipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_tree, "read_text", lambda path: pytest.fail(f"read {path}"))
    found = Catalogue([folder])
    assert found.names() == ("caffe/mnist", "caffe/vgg", "tf/mnist")
    assert found.groups() == ("caffe", "tf")


def test_one_recipe_is_resolved_without_parsing_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "tf" / "mnist.yaml").write_text("broken: [", encoding="utf-8")
    composed: list[str] = []
    real = yaml_tree.compose

    def compose(text: str, path: object, *rest: object) -> yaml_tree.Mapping:
        composed.append(Path(str(path)).name)
        return real(text, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(yaml_tree, "compose", compose)
    (recipe,) = Catalogue([folder]).resolve(["caffe/vgg"])
    assert (recipe.name, composed) == ("caffe/vgg", ["vgg.yaml"])
    (recipe,) = Catalogue([folder]).resolve(["CAFFEmnist"])
    assert recipe.assets["d"].shared == "dog"
    assert composed == ["vgg.yaml", "mnist.yaml", "pictures.yaml"]


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        (["all"], ["caffe/mnist", "caffe/vgg", "tf/mnist"]),
        (["caffe"], ["caffe/mnist", "caffe/vgg"]),
        (["caffe/"], ["caffe/mnist", "caffe/vgg"]),
        (["tf/mnist", "caffe", "caffe/vgg", "cafFEvgg"], ["tf/mnist", "caffe/mnist", "caffe/vgg"]),
        (["TfMnist"], ["tf/mnist"]),
    ],
)
def test_a_target_means_its_recipes_each_once(folder: Path, targets: list[str], names: list[str]) -> None:
    assert [recipe.name for recipe in Catalogue([folder]).resolve(targets)] == names


def test_a_path_means_the_recipe_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    found = Catalogue([folder])
    (recipe,) = found.resolve(["base/caffe/mnist.yaml", "caffe/mnist"])
    assert recipe.name == "caffe/mnist"


def test_a_path_outside_finds_assets_beside_it_and_the_shipped_ones(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    path = write(mine, "demos/own", "assets: {d: {use: dog}, b: {use: bird}}\n")
    (mine / "assets").mkdir()
    (mine / "assets" / "birds.yaml").write_text(
        f"schema: 1\nassets:\n  bird: {{urls: [https://example.org/b], sha256: {SHA}}}\n", encoding="utf-8"
    )
    (recipe,) = Catalogue([folder]).resolve([str(path)])
    assert (recipe.name, [asset.shared for asset in recipe.assets.values()]) == ("demos/own", ["dog", "bird"])


def test_a_later_folder_shadows_an_earlier_one(folder: Path, tmp_path: Path) -> None:
    over = tmp_path / "over"
    write(over, "caffe/vgg", demo="Mine")
    (over / "assets").mkdir()
    (over / "assets" / "p.yaml").write_text(
        f"schema: 1\nassets:\n  dog: {{urls: [https://example.org/mine], sha256: {SHA}}}\n", encoding="utf-8"
    )
    found = Catalogue([folder, over])
    (recipe,) = found.resolve(["caffe/vgg"])
    assert (recipe.demo, recipe.shadows) == ("Mine", folder / "caffe" / "vgg.yaml")
    assert found.recipe("caffe/mnist").shadows is None
    assert found.recipe("caffe/mnist").assets["d"].sources[0].url == "https://example.org/mine"
    assert sorted(found.shared) == ["cat", "dog"]


def test_a_recipe_beside_the_groups_has_the_folder_as_its_group(tmp_path: Path) -> None:
    write(tmp_path / "mine", "own")
    assert Catalogue([tmp_path / "mine"]).names() == ("mine/own",)


def test_the_environment_adds_folders(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "two", "x/y")
    monkeypatch.setenv(module.ENVIRONMENT, os.pathsep.join([str(folder), str(tmp_path / "two")]))
    names = Catalogue.open().names()
    assert {"caffe/vgg", "x/y", "armnn-caffe/mnist"} <= set(names)


def test_a_variant_is_chosen_with_an_at_sign(folder: Path) -> None:
    found = Catalogue([folder])
    (recipe,) = found.resolve(["caffe/mnist@small"])
    assert (recipe.variant, recipe.summary) == ("small", "s")
    assert [(each.name, each.variant) for each in found.resolve(["caffe@small"])] == [
        ("caffe/mnist", "small"),
        ("caffe/vgg", ""),
    ]
    with pytest.raises(RecipeError, match="no variant called 'smal'") as caught:
        found.resolve(["caffe/mnist@smal"])
    assert caught.value.hint == "did you mean small?"
    with pytest.raises(UsageError, match="no recipe of 'caffe'") as usage:
        found.resolve(["caffe@smal"])
    assert usage.value.hint == "did you mean small?"
    with pytest.raises(UsageError, match="has an empty variant"):
        found.resolve(["caffe/mnist@"])


@pytest.mark.parametrize(
    ("target", "near"),
    [("cafe", "caffe"), ("caffe/mnits", "caffe/mnist"), ("CaffeVG", "CaffeVGG"), ("vg", "vgg"), ("al", "all")],
)
def test_an_unknown_target_offers_the_nearest(folder: Path, target: str, near: str) -> None:
    with pytest.raises(UsageError, match="unknown target") as caught:
        Catalogue([folder]).resolve([target])
    assert caught.value.hint is not None
    assert near in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_target_like_nothing_is_told_the_groups(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Catalogue([folder]).resolve(["zzzzzz"])
    assert caught.value.hint == "groups: caffe, tf"


def test_a_missing_file_or_folder_is_an_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"recipe file .* does not exist"):
        Catalogue([folder]).resolve([str(tmp_path / "none.yaml")])
    with pytest.raises(UsageError, match=r"recipe folder .* does not exist"):
        Catalogue([tmp_path / "none"])


def test_a_broken_recipe_stands_in_nobodys_way_but_its_own(folder: Path) -> None:
    (folder / "caffe" / "vgg.yaml").write_text("demo: TfMnist\n", encoding="utf-8")
    found = Catalogue([folder])
    assert [recipe.name for recipe in found.resolve(["TfMnist"])] == ["tf/mnist"]
    with pytest.raises(RecipeError, match="needs the key 'schema'"):
        found.resolve(["caffe/vgg"])
    with pytest.raises(UsageError):
        found.resolve(["TfMnis"])


def test_the_shipped_recipes_of_the_spine_are_there() -> None:
    found = Catalogue.open()
    wanted = [
        "armnn-caffe/mnist", "armnn-tf/mnist", "armnn-onnx/mnist", "armnn-tflite/mobilenet-v1-quant",
        "armnn-tf/cifar10", "tflite/benchmark", "tflite/label-image", "opencv-dnn/logistic-regression",
    ]  # fmt: skip
    recipes = found.resolve(wanted)
    assert [recipe.name for recipe in recipes] == wanted
    for recipe in recipes:
        assert recipe.install
        assert recipe.run
        for asset in recipe.assets.values():
            assert asset.digests.best() is not None, asset.id
            assert asset.pinned_by, asset.id
            assert asset.licence is not None, asset.id
            assert asset.licence.source, asset.id


def test_the_shark_is_restricted_and_the_pictures_are_slots() -> None:
    recipe = Catalogue.open().recipe("armnn-tflite/mobilenet-v1-quant")
    assert {key: (asset.provide, asset.restricted) for key, asset in recipe.assets.items()} == {
        "model": (False, False),
        "picture-dog": (True, False),
        "picture-cat": (True, False),
        "picture-shark": (True, True),
    }


@pytest.mark.parametrize("name", ["$(touch x)", "`touch x`", "-rf", "a;b", "a\x1b[31mb", "a\nb", "a'b", 'a"b', "a|b"])
def test_a_name_that_means_something_to_a_shell_is_not_offered_for_completion(tmp_path: Path, name: str) -> None:
    for path in (tmp_path / "g" / f"{name}.yaml", tmp_path / name / "fine.yaml", tmp_path / "g" / "fine.yaml"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("schema: 1\n")
    offered = Catalogue([tmp_path]).offers("")
    assert offered == ["all", "g", "g/fine"]


def test_one_name_is_found_as_among_all(tmp_path: Path) -> None:
    for place in (
        "one/things/a.yaml", "one/things/a.yml", "one/things/b.yml", "one/things/.hidden.yaml", "one/.group/a.yaml",
        "one/assets/a.yaml", "one/alone.yaml", "one/file", "two/things/a.yaml", "two/things/A.yaml", "two/two/x.yaml",
        "two/y.yaml", "two/things/note.txt", "two/things/folder.yaml/c.yaml",
    ):  # fmt: skip
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("schema: 1\n")
    folders = [tmp_path / "one", tmp_path / "two"]
    every = Catalogue(folders)
    others = "things/ things/c things/.hidden .group/a assets/a file/a no/a things things/note.txt things/folder"
    others += " things/../two/x two/two one/alone THINGS/a /a"
    assert len(every.names()) > 5
    for name in (*every.names(), *others.split(), ""):
        found = [layer.path for layer in Catalogue(folders).layers(name)]
        assert found == [layer.path for layer in every.layers(name)], name
