"""``for:`` makes a variant of each combination of values; ``${name}`` stands for the value in the recipe's texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelprep.errors import RecipeError, UsageError
from modelprep.pipeline.authoring import lint_files
from modelprep.pipeline.catalogue import open_catalogue
from modelprep.pipeline.plan.board import select
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.loader import parse_recipe
from modelprep.recipe.schema import Recipe, Ref
from modelprep.tree.places import tree_name

RECIPE = """\
schema: 1
demo: Matrix
summary: compiled for ${soc}
for: {soc: [imx8mp, imx93], size: [128, 224]}
assets:
  model_128: {provide: true}
  model_224: {provide: true}
steps:
  - id: net
    uses: tflite.vela
    with: {model: "$model_${size}", soc: "${soc}", width: "${size}", text: "a ${size}", sum: "$${soc}"}
install:
  models/net_${soc}.tflite: $net
run: ./run -m models/net_${soc}.tflite --size ${size}
notes: what $${soc} means
variants:
  imx93-224:
    summary: the one with a note
    notes: of ${soc} alone
"""


def parsed(variant: str = "", text: str = RECIPE) -> Recipe:
    return parse_recipe(text, Path("g/r.yaml"), variant=variant)


def test_each_combination_is_a_variant_and_the_first_is_the_plain_recipe() -> None:
    recipe = parsed()
    assert list(recipe.variants) == ["imx8mp-128", "imx8mp-224", "imx93-128", "imx93-224"]
    assert recipe.variants["imx8mp-224"] == "for soc imx8mp, size 224"
    assert recipe.matrix["imx93-128"] == {"soc": "imx93", "size": "128"}
    assert recipe.summary == "compiled for imx8mp"
    assert recipe.install == {"models/net_imx8mp.tflite": Ref("net")}


def test_values_stand_in_parameters_names_of_files_references_and_texts() -> None:
    recipe = parsed("imx93-224")
    (step,) = recipe.steps
    assert step.params == {
        "model": Ref("model_224"), "soc": "imx93", "width": 224, "text": "a 224", "sum": "${soc}",
    }  # fmt: skip
    assert recipe.install == {"models/net_imx93.tflite": Ref("net")}
    assert str(recipe.run) == "./run -m models/net_imx93.tflite --size 224"
    assert recipe.notes == ("of imx93 alone",)
    assert recipe.variants["imx93-224"] == "the one with a note"
    assert parsed("imx93-128").notes == ("what ${soc} means",)


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        (("${soc} alone", "${scc} alone"), "r.yaml:19:12", "did you mean soc?"),
        (("[imx8mp, imx93]", "[imx8mp, ../x]"), "r.yaml:4:21 (for.soc[1])", "a value (letters"),
        (("[imx8mp, imx93]", "[]"), "r.yaml:4:12 (for.soc)", "the list is empty"),
        (("[imx8mp, imx93]", "[imx93, imx93]"), "r.yaml:4:6 (for)", "two combinations"),
        (("soc: [", "9soc: ["), "r.yaml:4:7 (for.9soc)", "a name (letters"),
        (("models/net_${soc}.tflite: $net", "a_${soc}: $net\n  a_imx93: $net"), "r.yaml:14:3", "occurs twice"),
        (("models/net_${soc}.tflite: $net", "a_$soc: $net"), "r.yaml:13:3", "not allowed here"),
    ],
)
def test_what_is_wrong_is_told_where_it_is_written(change: tuple[str, str], place: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parsed("imx93-224", RECIPE.replace(*change))
    assert place in str(caught.value)
    assert said in str(caught.value)


def test_a_matrix_of_too_many_variants_is_refused() -> None:
    values = ", ".join(f"v{number}" for number in range(50))
    text = f"schema: 1\ndemo: D\nfor: {{a: [{values}], b: [{values}]}}\n"
    with pytest.raises(RecipeError, match="more variants"):
        parse_recipe(text, Path("r.yaml"))


def test_without_a_matrix_nothing_is_replaced() -> None:
    recipe = parse_recipe("schema: 1\ndemo: D\nnotes: 'a ${soc}'\n", Path("r.yaml"))
    assert recipe.notes == ("a ${soc}",)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "matrix.yaml").write_text(RECIPE, encoding="utf-8")
    return Catalogue([tmp_path])


def test_a_variant_of_the_matrix_is_a_target(catalogue: Catalogue) -> None:
    (recipe,) = catalogue.resolve(["g/matrix@imx93-128"])
    assert recipe.variant == "imx93-128"
    assert "g/matrix@imx93-128" in catalogue.offers("g/matrix@imx93")
    with pytest.raises(RecipeError, match="no variant called"):
        catalogue.resolve(["g/matrix@imx95"])
    assert [r.variant for r in catalogue.resolve(["g@imx93-224"])] == ["imx93-224"]
    with pytest.raises(UsageError):
        catalogue.resolve(["g@imx95"])


def test_the_soc_of_the_board_selects_its_first_combination(catalogue: Catalogue) -> None:
    (recipe,) = select(catalogue, ["g"], soc="imx93")
    assert (recipe.variant, recipe.soc, recipe.absent) == ("imx93-128", "imx93", "")
    (other,) = select(catalogue, ["g"], soc="imx95")
    assert other.absent == "not on imx95"
    assert other.install == {}


def test_a_variant_for_a_soc_goes_to_the_tree_of_that_soc(catalogue: Catalogue) -> None:
    (by_name,) = select(catalogue, ["g/matrix@imx93-128"])
    (by_option,) = select(catalogue, ["g/matrix"], soc="imx93")
    assert tree_name(by_name) == tree_name(by_option) == "L4.14.98-2.0.0-imx93/g"
    assert tree_name(select(catalogue, ["g/matrix"])[0]) == "g"
    with pytest.raises(UsageError, match="is for imx93, not imx8mp"):
        select(catalogue, ["g/matrix@imx93-128"], soc="imx8mp")


def test_lint_reads_every_combination_and_every_variant(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "schema: 1\ndemo: D\nstatus: redy\nfor: {soc: [imx93, imx95]}\nassets: {a_imx93: {provide: true}}\n"
        "install: {m: '$a_${soc}'}\nvariants: {v: {expect: {modle: x}}, w: null}\n"
    )
    (linted,) = lint_files([path], open_catalogue())
    said = " ".join(str(error.what) for error in linted.errors)
    assert "unknown asset or step 'a_imx95'" in said
    assert "unknown key 'modle' in expect" in said
    assert len(linted.errors) == 4  # and the status, and that nothing is a variant
