"""Reading recipes: what is taken, what is refused, and where it says so."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelprep.errors import RecipeError
from modelprep.recipe import loader, yaml_tree
from modelprep.recipe import text as text_rules
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.problems import RecipeErrors, flatten
from modelprep.recipe.schema import Asset, Digests, Ref, Source

SHA = "0123456789abcdef" * 4
ASSET = f"  model: {{urls: [https://example.org/m.bin], sha256: {SHA}}}\n"
GOOD = f"schema: 1\ndemo: Demo\nassets:\n{ASSET}install:\n  models/m.bin: $model\n"


def problems(text: str, **options: object) -> tuple[RecipeError, ...]:
    with pytest.raises(RecipeError) as caught:
        loader.parse_recipe(text, Path("group/r.yaml"), **options)  # type: ignore[arg-type]
    return flatten(caught.value)


def only(text: str, **options: object) -> RecipeError:
    (problem,) = problems(text, **options)
    return problem


def with_asset(body: str) -> str:
    return f"schema: 1\ndemo: D\nassets:\n  a: {{{body}}}\n"


def test_a_recipe_becomes_structs() -> None:
    text = f"""\
schema: 1
demo: CaffeThing
manual: 8.1
tree: ArmnnTests
assets:
  zip:
    urls:
      - https://example.org/a.zip
      - {{url: "https://example.org/b.tgz", member: in/b.bin, md5: {"AB" * 16}, size: 12, note: second}}
    sha256: {SHA}
    licence: {{name: MIT, source: there}}
    notes: one
  slot: {{provide: true, restricted: true, filename: p.jpg}}
steps:
  - {{id: net, uses: caffe.bake, with: {{file: $zip, price: $$5, shape: [1, 3, $slot], deep: {{k: $zip}}}}}}
install:
  m/net: $net/inner/file
  m/p.jpg: $slot
expect: {{labels: {{a: 3}}, armnn: "19.02"}}
"""
    recipe = loader.parse_recipe(text, Path("x/armnn/thing.yaml"))
    assert (recipe.name, recipe.group, recipe.manual, recipe.tree) == ("armnn/thing", "armnn", "8.1", "ArmnnTests")
    zipped = recipe.assets["zip"]
    assert zipped.sources == (
        Source("https://example.org/a.zip"),
        Source("https://example.org/b.tgz", "in/b.bin", Digests({"md5": "ab" * 16}), 12, "second"),
    )
    assert zipped.digests.best() == ("sha256", SHA)
    assert zipped.notes == ("one",)
    assert zipped.licence is not None
    assert zipped.licence.source == "there"
    assert recipe.assets["slot"] == Asset("slot", provide=True, restricted=True, filename="p.jpg", recipe="armnn/thing")
    (step,) = recipe.steps
    assert step.params == {
        "file": Ref("zip"), "price": "$5", "shape": (1, 3, Ref("slot")), "deep": {"k": Ref("zip")},
    }  # fmt: skip
    assert step.place.endswith("thing.yaml:15:5")
    assert recipe.install == {"m/net": Ref("net", "inner/file"), "m/p.jpg": Ref("slot")}
    assert recipe.expect == {"labels": {"a": 3}, "armnn": "19.02"}


def test_several_problems_are_told_in_one_go_each_with_its_place() -> None:
    text = "schema: 1\ndemo: D\nstatsu: ready\nassets:\n  a: {urls: [x], sha256: 12}\ninstall:\n  ../p: $b\n"
    found = problems(text)
    assert [error.where for error in found] == [
        "group/r.yaml:3:1 (statsu)",
        "group/r.yaml:5:14 (assets.a.urls[0])",
        "group/r.yaml:5:26 (assets.a.sha256)",
        "group/r.yaml:7:3 (install.../p)",
    ]
    assert found[0].hint == "did you mean status?"
    assert "one of schema, demo" in str(found[0].expected)


def test_many_problems_survive_pickling_and_json() -> None:
    with pytest.raises(RecipeErrors) as caught:
        loader.parse_recipe("schema: 2\nx: 1\n", Path("r.yaml"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert len(again.to_json()["problems"]) == 3  # schema, x, and no demo


def test_a_repeated_key_is_an_error_that_names_the_first() -> None:
    problem = only(GOOD + "demo: Other\n")
    assert problem.where == "group/r.yaml:7:1"
    assert problem.hint == "the first is at group/r.yaml:2:1"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("urls: [http://e.org/x]", "no digest"),
        ("urls: [http://e.org/x], sha256: 12", "wrong length"),
        (f"urls: [http://e.org/x], sha256: {'g' * 64}", "hexadecimal"),
        (f"urls: [http://e.org/x], sha1: {SHA}", "wrong length"),
        (f"urls: [http://e.org/x], sha256: {SHA}, size: -1", "out of range"),
        (f"urls: [http://e.org/x], sha256: {SHA}, size: 1.5", "wrong type"),
        (f"urls: [http://e.org/x], sha256: {SHA}, size: true", "wrong type"),
        (f"urls: [http://e.org/x], sha256: {SHA}, provide: yes", "wrong type"),
        (f"urls: [http://e.org/x], sha256: {SHA}, pin: first-use", "exclude each other"),
        (f"urls: [http://e.org/x, http://e.org/x], sha256: {SHA}", "twice"),
        (f"urls: [ftp://e.org/x], sha256: {SHA}", "not supported"),
        (f"urls: ['http://e.org/a b'], sha256: {SHA}", "blank"),
        (f"urls: [{{url: http://e.org/x, member: ../x}}], sha256: {SHA}", "leads out"),
        (f"urls: [], sha256: {SHA}", "empty"),
        ("urls: [http://e.org/x], members: {a/../b: {md5: 12}}", "leads out"),
        ("urls: [http://e.org/x], members: {a: {}}", "needs one of"),
        ("summary: nothing else", "needs one of urls, provide"),
        ("urls: [http://e.org/x], pin: first-use, pinned_by: me", "needs a digest"),
        ("use: x, urls: [http://e.org/x]", "unknown key 'urls' in an asset with 'use'"),
    ],
)
def test_a_bad_asset_is_refused(body: str, said: str) -> None:
    shared = {"x": Asset("x")}
    found = problems(with_asset(body), shared=shared)
    assert any(said in error.what for error in found), [error.what for error in found]
    assert all(error.where and error.where.startswith("group/r.yaml:4:") for error in found)


def test_a_digest_of_another_length_says_whose_it_is() -> None:
    problem = only(with_asset(f"urls: [http://e.org/x], sha256: {'a' * 40}"))
    assert problem.hint == "it has the length of git or sha1"


def test_a_digest_that_looks_like_a_number_is_a_digest() -> None:
    digits = "1" * 31 + "e" + "9" * 8
    recipe = loader.parse_recipe(with_asset(f"urls: [http://e.org/x], sha1: {digits}"), Path("r.yaml"))
    assert recipe.assets["a"].digests.values == {"sha1": digits}


HOSTILE = [
    "../x",
    "a/../b",
    "..",
    ".",
    "/etc/passwd",
    "a//b",
    "a//",
    "a\\b",
    "C:/x",
    "c:x",
    "a/./b",
    " a",
    "a ",
    "a\nb",
]


@pytest.mark.parametrize("place", HOSTILE)
def test_an_install_path_that_is_not_plainly_inside_is_refused(place: str) -> None:
    from modelprep.quoting import yaml

    problem = only(GOOD + f"  {yaml(place)}: $model\n")
    assert "path" in problem.what
    assert problem.where is not None
    assert problem.where.startswith("group/r.yaml:7:3")


@given(st.text(max_size=40) | st.from_regex(r"[./\\a-cC: ]{0,12}", fullmatch=True))
def test_an_accepted_path_stays_inside_and_the_pattern_agrees(text: str) -> None:
    import posixpath
    import re

    fault = text_rules.path_fault(text) if text else "empty"
    assert (fault is None) == bool(re.search(text_rules.PATH_PATTERN, text)), text
    if fault is None:
        assert posixpath.normpath(text) == text
        assert not text.startswith("/")
        assert ".." not in text.split("/")


@given(st.text(max_size=40) | st.from_regex(r"[./\\a-cC: ]{0,12}", fullmatch=True))
def test_an_accepted_place_stays_inside_and_the_pattern_agrees(text: str) -> None:
    import posixpath
    import re

    fault = text_rules.place_fault(text) if text else "empty"
    assert (fault is None) == bool(re.search(text_rules.PLACE_PATTERN, text)), text
    if fault is None and text != "./":
        assert posixpath.normpath(text) == text.removesuffix("/")
        assert not text.startswith("/")
        assert ".." not in text.split("/")


@given(st.text(max_size=60) | st.from_regex(r"(https?|file|ftp):/{0,3}[a-z@:/?#\[\] %]{0,12}", fullmatch=True))
def test_an_accepted_url_has_a_scheme_that_is_fetched_and_the_pattern_agrees(text: str) -> None:
    import re

    fault = text_rules.url_fault(text)
    if fault is None:
        assert text.lower().startswith(("http://", "https://", "file:"))
        assert re.search(text_rules.URL_PATTERN, text)


@pytest.mark.parametrize(
    ("install", "said"),
    [
        ("a: $model\n  a/b: $model", "a folder in"),
        ("MANIFEST.json: $model", "modelprep itself"),
        ("data/Dog.jpg: $model\n  data/dog.jpg: $model", "ignore case"),
        ("a: model", "not a reference"),
        ("a: $modle", "unknown asset or step 'modle'"),
        ("a: $model/inner", "one file"),
    ],
)
def test_a_bad_install_entry_is_refused(install: str, said: str) -> None:
    problem = only(f"schema: 1\ndemo: D\nassets:\n{ASSET}install:\n  {install}\n")
    assert said in problem.what


def steps(*lines: str) -> str:
    return f"schema: 1\ndemo: D\nassets:\n{ASSET}steps:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def test_a_circle_of_steps_is_named() -> None:
    problem = only(
        steps("id: a, uses: x, with: {f: $b}", "id: b, uses: x, with: {f: $c}", "id: c, uses: x, with: {f: $a}")
    )
    assert problem.got == "$a -> $b -> $c -> $a"


def test_a_step_that_takes_itself_is_a_circle() -> None:
    assert only(steps("id: a, uses: x, with: {f: $a/in}")).got == "$a -> $a"


def test_steps_come_in_an_order_that_works() -> None:
    text = steps("id: last, uses: x, with: {f: $first}", "id: free, uses: x", "id: first, uses: x, with: {f: $model}")
    recipe = loader.parse_recipe(text, Path("r.yaml"))
    assert [step.id for step in recipe.steps] == ["free", "first", "last"]


def test_an_asset_and_a_step_of_one_name_clash() -> None:
    assert "both an asset and a step" in only(steps("id: model, uses: x")).what


def test_two_steps_of_one_name_clash() -> None:
    assert "two steps" in only(steps("id: s, uses: x", "id: s, uses: x")).what


def test_an_unknown_status_offers_the_nearest() -> None:
    problem = only(GOOD + "status: redy\n")
    assert problem.hint == "did you mean ready?"
    assert problem.expected == "one of ready, bring-your-own, needs-nothing"


def test_bring_your_own_must_say_why() -> None:
    assert "needs the key 'why'" in only(GOOD + "status: bring-your-own\n").what


def test_an_unknown_shared_asset_offers_the_nearest() -> None:
    problem = only(with_asset("use: picture-shrak"), shared={"picture-shark": Asset("picture-shark")})
    assert problem.hint == "did you mean picture-shark?"


def test_a_shared_asset_keeps_its_key_and_takes_what_is_laid_over_it() -> None:
    shared = {"dog": Asset("dog", shared="dog", summary="old", sources=(Source("http://e.org/d"),))}
    recipe = loader.parse_recipe(with_asset("use: dog, provide: true, summary: new"), Path("r.yaml"), shared=shared)
    asset = recipe.assets["a"]
    assert (asset.id, asset.key, asset.provide, asset.summary) == ("a", "dog", True, "new")
    assert asset.sources == shared["dog"].sources


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("- a\n", "not a mapping"),
        ("just words\n", "not a mapping"),
        ("a: [1\n", "not YAML"),
        ("a: b: c\n", "not YAML"),
        ("a:\n\t- b\n", "not YAML"),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("a: !!python/object/apply:os.system [ls]\n", "tags are not supported"),
        ("a: *x\n", "not YAML|unknown anchor"),
        ("a: &x [*x]\n", "contains itself"),
        ("? [a]\n: b\n", "a key must be one word"),
        ("a: \x00\n", "not YAML"),
        ("a: " + "[" * 100_000, "nested deeper|not YAML"),
        ("a: " + "- " * 5_000, "nested deeper|not YAML"),
        ("&a {x: 1}: 2\n", "a key must be one word"),
    ],
)
def test_broken_yaml_is_one_clear_error(text: str, said: str) -> None:
    found = problems(text)
    assert any(part in error.what for error in found for part in said.split("|")), [error.what for error in found]
    assert all(error.where and error.where.startswith("group/r.yaml") for error in found)


def test_a_bomb_of_aliases_is_refused_early() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "aliases" in only("\n".join(lines)).what


def test_a_file_that_is_too_large_or_not_text_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (yaml_tree.MAX_BYTES + 1))
    with pytest.raises(RecipeError, match="too large"):
        loader.load_recipe(large)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"schema: 1\ndemo: caf\xe9\n")
    with pytest.raises(RecipeError, match="UTF-8") as caught:
        loader.load_recipe(latin)
    assert caught.value.where == f"{latin}:2:10"
    with pytest.raises(RecipeError, match="cannot read"):
        loader.load_recipe(tmp_path / "none.yaml")


def test_the_same_is_read_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    fast = loader.parse_recipe(GOOD, Path("g/r.yaml"))
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert loader.parse_recipe(GOOD, Path("g/r.yaml")) == fast
    assert only(GOOD + "demo: x\n").where == "group/r.yaml:7:1"


def test_plain_words_mean_what_yaml_1_2_says() -> None:
    root = yaml_tree.compose("a: no\nb: 2019-03-08\nc: 1:30\nd: 010\ne: 1e3\nf: ~\ng: 'true'\nh: -7\ni: 1_000\n", "x")
    assert yaml_tree.plain(root) == {
        "a": "no", "b": "2019-03-08", "c": "1:30", "d": "010", "e": 1000.0, "f": None, "g": "true", "h": -7,
        "i": "1_000",
    }  # fmt: skip


@given(st.binary(max_size=200) | st.text("[]{}:,&*!|>-? \n\t'\"#a1~", max_size=80).map(str.encode))
def test_whatever_bytes_come_only_a_recipe_error_leaves(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "r.yaml"
    path.write_bytes(data)
    with pytest.raises(RecipeError):
        loader.load_recipe(path)


VARIED = f"""\
schema: 1
demo: D
assets:
{ASSET}  other: {{provide: true}}
steps:
  - {{id: s, uses: copy, with: {{file: $model}}}}
install:
  a: $s
  b: $other
expect: {{armnn: "19.02", preprocess: {{kind: image, size: [1, 2]}}}}
variants:
  frozen:
    summary: ready-made
    steps: []
    install: {{a: $model, b: null}}
    expect: {{preprocess: {{size: [3, 4]}}}}
  broken:
    install: {{a: $nothing}}
  typo:
    instal: {{a: $model}}
"""


def test_a_variant_merges_mappings_replaces_lists_and_takes_away() -> None:
    text = VARIED[: VARIED.index("  typo:")]
    base = loader.parse_recipe(text, Path("r.yaml"))
    assert base.variants == {"frozen": "ready-made", "broken": ""}
    over = loader.parse_recipe(text, Path("r.yaml"), variant="frozen")
    assert (over.variant, over.summary, over.steps) == ("frozen", "ready-made", ())
    assert over.install == {"a": Ref("model")}
    assert over.expect == {"armnn": "19.02", "preprocess": {"kind": "image", "size": [3, 4]}}
    assert over.assets == base.assets


def test_an_error_in_a_variant_names_the_variants_own_line() -> None:
    text = VARIED[: VARIED.index("  typo:")]
    assert (
        only(text, variant="broken").where
        == f"group/r.yaml:{text.splitlines().index('    install: {a: $nothing}') + 1}:18 (install.a)"
    )
    assert only(text, variant="frozn").hint == "did you mean frozen?"


def test_an_unknown_key_in_a_variant_is_seen_without_choosing_it() -> None:
    assert only(VARIED).hint == "did you mean install?"


def test_shared_assets_declared_twice_name_both_places(tmp_path: Path) -> None:
    from modelprep.pipeline.authoring import lint_files

    files = [tmp_path / "assets" / f"{name}.yaml" for name in ("a", "b")]
    files[0].parent.mkdir()
    for file in files:
        file.write_text(f"schema: 1\nassets:\n{ASSET}", encoding="utf-8")
    sound, twice = lint_files(files, Catalogue([tmp_path]))
    assert sound.errors == ()
    assert "declared in two files" in twice.errors[0].what
    assert twice.errors[0].where == f"{files[1]}:3:3"
    assert twice.errors[0].hint == f"the first is at {files[0]}:3:3"


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        "".join(f"k{n}: 1\n" for n in range(20_000)),
        "install:\n" + "".join(f"  p{n}: $a{n}\n" for n in range(20_000)),
        "assets:\n" + "".join(f"  a{n}: {{provide: true}}\n" for n in range(8_000))
        + "install:\n" + "".join(f"  p{n}: $b{n}\n" for n in range(8_000)),
        "assets:\n" + "".join(f"  a{n}: {{use: x{n}}}\n" for n in range(8_000)),
    ],
    ids=["keys", "references", "names", "shared"],
)  # fmt: skip
def test_thousands_of_mistakes_are_told_in_bounded_time_and_space(body: str) -> None:
    import time

    shared = {f"s{n}": Asset(f"s{n}") for n in range(100)}
    started = time.process_time()
    with pytest.raises(RecipeErrors, match="the first 50 are shown") as caught:
        loader.parse_recipe(f"schema: 1\ndemo: D\n{body}", Path("r.yaml"), shared=shared)
    assert len(caught.value.problems) == 50
    assert len(str(caught.value)) < 200_000
    # Comparing every wrong name with every known one took minutes; this takes about a second.
    assert time.process_time() - started < 20
