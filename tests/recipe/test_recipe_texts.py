"""What a recipe's texts may be made of: an allowlist for each kind of value, with the place of what is refused."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelprep import quoting
from modelprep.errors import RecipeError
from modelprep.recipe import loader, text
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.problems import flatten
from modelprep.recipe.text import CommandFault, parse_command

SHA = "0" * 64


def recipe(**values: str) -> str:
    """A recipe with some values in the place of good ones; one key a line."""
    good = {
        "schema": "1",
        "demo": "Demo",
        "assets": f"{{a: {{urls: ['http://e.org/a'], sha256: '{SHA}', licence: MIT}}}}",
        "install": "{a.bin: $a}",
    }
    return "".join(f"{key}: {value}\n" for key, value in {**good, **values}.items())


def refused(written: str, path: Path = Path("group/r.yaml")) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        loader.parse_recipe(written, path)
    return flatten(caught.value)[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("demo", "$(touch x)"), ("demo", "A&B"), ("demo", "a;b"), ("demo", "`id`"), ("demo", "a'b"), ("demo", "-rf"),
        ("demo", "a@b"), ("demo", "x" * 101), ("demo", "a\tb"), ("demo", "a\nb"), ("demo", " a"), ("demo", "a/b"),
        ("tree", "t${@1}"), ("tree", 'a"b'), ("tree", "-t"), ("tree", "a`id`"), ("tree", "../t"), ("tree", "a;b"),
        ("tree", "/t"), ("tree", "a\nb"), ("tree", "t'"), ("tree", "a$b"),
        ("board", "usr/share"), ("board", '/x"\npython () {\n}\nA = "'), ("board", "/x/${@1}"), ("board", "/x`id`"),
        ("board", "/x/../y"), ("board", "/x;y"), ("board", "~/x"), ("board", "//x"), ("board", "/x$(id)"),
        ("run", "./p; id"), ("run", "./p | sh"), ("run", "p $(id)"), ("run", "p `id`"), ("run", "p > /etc/x"),
        ("run", "p & q"), ("run", "a\nb"), ("run", "p 'x"), ("run", 'p "$x"'), ("run", "-rf"), ("run", "A=b"),
        ("run", "p *"), ("run", "~/p"), ("run", "p #x"), ("run", "'' x"),
        ("summary", "a\x1b[31mb"), ("summary", "a\u202eb"), ("notes", "a\x9bb"), ("why", "a\x00b"),
        ("notes", "a\u2066b"), ("prints", "a\x07"), ("manual", "8.1\x7f"),
        ("summary", "a\u200fb"), ("summary", "\ufeffa"),
    ],
)  # fmt: skip
def test_a_value_that_means_something_elsewhere_is_refused_where_it_stands(key: str, value: str) -> None:
    written = recipe(**{key: quoting.yaml(value)})
    line = 1 + [each.partition(":")[0] for each in written.splitlines()].index(key)
    problem = refused(written)
    assert problem.exit_code == 2
    assert (problem.where or "").startswith(f"group/r.yaml:{line}:{len(key) + 3}"), problem
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2066\u200f]", str(problem))


@pytest.mark.parametrize(
    "url",
    [
        "http://bob:secret@e.org/a", "https://token@e.org/a", "http://e.org/a%00b.bin", "http://e.org/a%0Ab",
        "http://e.org/a?x=%1b[31m", "http://e.org/%E2%80%AEa", "http://e.org/%c2%9ba", "http://-oX/a", "http://e.org:x/a",
        "http://e org/a", "http://e.org;id/a", "http://$(id)/a", "javascript:alert(1)", "data:x", "ftp://e.org/a",
        "http://e.org/${@1}", "http://e.org/\"a", "http://e.org/<a", "http://e.org/a`id`", "gopher://e.org/a",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["plain", "mapping"])
def test_a_url_with_a_secret_or_a_control_character_or_an_odd_host_is_refused(url: str, form: str) -> None:
    source = quoting.yaml(url) if form == "plain" else f"{{url: {quoting.yaml(url)}, member: x}}"
    problem = refused(recipe(assets=f"{{a: {{urls: [{source}], sha256: '{SHA}'}}}}"))
    assert problem.exit_code == 2
    assert (problem.where or "").startswith("group/r.yaml:3:")


@pytest.mark.parametrize(
    "place", ["a$b", "a`id`", 'a"b', "a;b", "a|b", "a<b", "a>b", "a*", "a?b", "a:b", "a%00b", "a\u202eb"]
)
@pytest.mark.parametrize("kind", ["install", "member", "filename"])
def test_a_name_of_a_file_is_made_of_harmless_characters(place: str, kind: str) -> None:
    name = quoting.yaml(place)
    asset = {
        "install": f"{{urls: ['http://e.org/a'], sha256: '{SHA}'}}",
        "member": f"{{urls: [{{url: 'http://e.org/a', member: {name}}}], sha256: '{SHA}'}}",
        "filename": f"{{urls: ['http://e.org/a'], sha256: '{SHA}', filename: {name}}}",
    }[kind]
    install = f"{{{name}: $a}}" if kind == "install" else "{x: $a}"
    assert refused(recipe(assets=f"{{a: {asset}}}", install=install)).exit_code == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("demo", "OpenCV dnn_classification"), ("demo", "ACL graph examples"), ("demo", "Größe (2) v1.0+x"),
        ("tree", "ArmnnTests"), ("tree", "my tests/v1.0"), ("board", "/usr/share/OpenCV/samples/bin"), ("board", "/"),
        ("run", "../graph_alexnet --data=. --image=./go_kart.ppm"), ("run", "LD_LIBRARY_PATH=/opt/lib ./p -x 'a;b c'"),
        ("run", "p --pattern='*.jpg' \"two words\""), ("summary", "Grüße, 日本 😀"), ("notes", "two\nlines\tand a tab"),
    ],
)  # fmt: skip
def test_what_people_write_is_taken(key: str, value: str) -> None:
    loader.parse_recipe(recipe(**{key: quoting.yaml(value)}), Path("group/r.yaml"))


@pytest.mark.parametrize(
    "name", ["-x.bin", "--help", "a b.bin", "a'b.bin", "#1 [a] {b} ~ & 100%.bin", "日本.jpg", "modelprep-list"]
)
def test_file_names_of_all_kinds_are_taken(name: str) -> None:
    made = loader.parse_recipe(recipe(install=f"{{{quoting.yaml(name)}: $a}}"), Path("group/r.yaml"))
    assert list(made.install) == [name]


def test_every_packaged_recipe_loads_with_all_its_variants() -> None:
    catalogue = Catalogue.open()
    for name in catalogue.names():
        for variant in ("", *catalogue.recipe(name).variants):
            catalogue.recipe(name, variant)


# -- commands ----------------------------------------------------------------------------------------------------------


def test_a_command_is_a_program_its_arguments_and_its_environment() -> None:
    made = parse_command("A=1 B='x y' ./p --data=. 'a;b' \"c d\"")
    assert (made.program, made.arguments, dict(made.environment)) == (
        "./p",
        ("--data=.", "a;b", "c d"),
        {"A": "1", "B": "x y"},
    )
    assert parse_command(str(made)) == made


@given(written=st.text(st.sampled_from("ab=-/. '\"$;|A_*"), max_size=14))
def test_a_shell_reads_an_accepted_command_as_it_was_parsed(written: str) -> None:
    fault = text.command_fault(written)
    assert (fault is None) == bool(re.search(text.COMMAND_PATTERN, written))
    if fault is None:
        made = parse_command(written)
        # What the shell splits the recipe's own text into, and what it splits ours into.
        for line in (written, made.line):
            script = f"{''.join(f'unset {name};' for name in made.environment)} set -- {line}; printf '%s\\0' \"$@\""
            ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
            words = [f"{name}={value}" for name, value in made.environment.items()]
            if len(set(re.findall(r"([A-Za-z_]\w*)=", written))) == len(made.environment):
                assert ran.stdout.split("\0")[:-1] == [*words, made.program, *made.arguments]


def test_what_is_wrong_with_a_command_has_its_column() -> None:
    with pytest.raises(CommandFault) as caught:
        parse_command("./p; id")
    assert caught.value.column == 3


# -- file: URLs --------------------------------------------------------------------------------------------------------


def written(folder: Path, url: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "r.yaml"
    path.write_text(recipe(assets=f"{{a: {{urls: [{quoting.yaml(url)}], pin: first-use}}}}"))
    return path


@pytest.mark.parametrize(
    "url",
    ["file:/etc/passwd", "file:///etc/passwd", "file://localhost/etc/passwd", "file:/proc/self/environ",
     "file:../../outside.bin", "file:%2e%2e/%2e%2e/outside.bin", "file:link.bin", "file:folder/outside.bin"],
)  # fmt: skip
def test_a_file_url_does_not_leave_the_recipes(tmp_path: Path, url: str) -> None:
    recipes = tmp_path / "recipes"
    path = written(recipes / "g", url)
    (tmp_path / "outside.bin").write_text("x")
    (recipes / "g" / "link.bin").symlink_to(tmp_path / "outside.bin")
    (recipes / "g" / "folder").symlink_to(tmp_path)
    for read in (lambda: Catalogue([recipes]).recipe("g/r"), lambda: loader.load_recipe(path)):
        with pytest.raises(RecipeError) as caught:
            read()
        assert caught.value.exit_code == 2
        assert str(caught.value.where).startswith(f"{path}:3:")
        assert "--set" in str(caught.value.hint)


def test_a_file_url_may_name_what_lies_in_the_folder_of_recipes(tmp_path: Path) -> None:
    recipes = tmp_path / "recipes"
    path = written(recipes / "g", "file:../files/a.bin")
    (recipes / "files").mkdir()
    (recipes / "files" / "a.bin").write_text("x")
    assert Catalogue([recipes]).recipe("g/r").assets["a"].sources[0].url.is_local
    # By itself the recipe has no folder but its own.
    with pytest.raises(RecipeError):
        loader.load_recipe(path)
    # Where the folder itself lies behind a link, that is the user's choice.
    (tmp_path / "linked").symlink_to(recipes)
    assert Catalogue([tmp_path / "linked"]).recipe("g/r").assets["a"].sources


def test_shared_assets_are_held_to_the_same(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "s.yaml").write_text(
        "schema: 1\nassets: {a: {urls: ['file:/etc/passwd'], pin: first-use}}\n"
    )
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "r.yaml").write_text(recipe(assets="{a: {use: a}}"))
    with pytest.raises(RecipeError):
        Catalogue([tmp_path]).recipe("g/r")
