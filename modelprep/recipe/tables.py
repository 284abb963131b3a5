"""Every key of a recipe: its value and its description.

The loader uses these tables, and the exported JSON Schema is made from them.
"""

from __future__ import annotations

from modelprep.recipe import text
from modelprep.recipe.expectations import EXPECT
from modelprep.recipe.scalars import Bool, Choice, Free, Hex, Int, Number, Text
from modelprep.recipe.schema import ALGORITHMS, HEX_LENGTH, PROCESSORS, SCHEMA_VERSION, STATUSES
from modelprep.recipe.shapes import ByKey, Either, Field, ListOf, MapOf, Struct
from modelprep.url import redact

#: Files that modelprep itself writes at the top of a tree.
OWN_FILES = ("MANIFEST.json", "SHA256SUMS", "run-tests.sh")

NAME = Text("a name (letters, digits, dot, dash, underscore)", text.NAME_PATTERN)
LOCK_KEY = Text(
    "a shared asset's name, group/recipe#asset, sha1: (md5:, git:) and a digest, or recipes: and a URL",
    rf"^(?:(?:sha1|git|md5):[0-9a-f]{{32,40}}(?!\n)$|recipes:https?://[^\s#\"'\\]+(?!\n)$|(?:[^\s#:/][^#:/]*/[^#:/]+#)?{text.NAME_PATTERN[1:]})",
)
PATH = Text("a relative path with / between its parts", text.PATH_PATTERN, text.path_fault, shown=text.up_to_odd)
PLACE = Text(
    "a relative path; a folder to be filled ends in /", text.PLACE_PATTERN, text.place_fault, shown=text.up_to_odd
)
URL = Text("an http, https or file URL", text.URL_PATTERN, text.url_fault, shown=redact)
DEMO = Text("a name (letters, digits, blanks and ._+(),-)", text.DEMO_PATTERN, text.demo_fault, shown=text.up_to_odd)
FOLDER = Text(
    "a relative path (letters, digits, blanks and ._+,=@~-)",
    text.FOLDER_PATTERN,
    text.folder_fault,
    shown=text.up_to_odd,
)
BOARD = Text(
    "an absolute path (letters, digits, blanks and ._+,=@~-)",
    text.BOARD_PATTERN,
    text.board_fault,
    shown=text.up_to_odd,
)
COMMAND = Text(
    "a program and its arguments, without pipes, variables or redirections (quote what a shell would expand)",
    text.COMMAND_PATTERN,
    text.command_fault,
    shown=text.command_up_to_fault,
)
REF = Text("a reference: $asset, $step or $step/inner/path", text.REF_PATTERN)
LINE = Text("text")
NOTES = ListOf(LINE, "a text or a list of texts", single=True)
SIZE = Int("a size in bytes, a whole number")

DIGEST_FIELDS = tuple(
    Field(
        name,
        Hex(name, HEX_LENGTH[name]),
        "git's id of the blob: sha1 of 'blob <size>', a NUL and the bytes" if name == "git" else f"{name} of the bytes",
    )
    for name in ALGORITHMS
)

SOURCE = Either(
    URL,
    Struct(
        "a source",
        (
            Field("url", URL, "its URL: http, https, file, or a share link", required=True),
            Field("member", PATH, "the file inside the archive at the URL"),
            *DIGEST_FIELDS,
            Field("size", SIZE, "size of the file at the URL in bytes"),
            Field("note", LINE, "a note for `modelprep show`"),
        ),
    ),
)
LICENCE_NAME = Text("an SPDX id or a phrase on one line, without $ ` { } < > \\ |", text.LICENCE_PATTERN)
LICENCE = Either(
    LICENCE_NAME,
    Struct(
        "a licence",
        (
            Field("name", LICENCE_NAME, "an SPDX id or a phrase", required=True),
            Field("source", LINE, "where it is stated"),
        ),
    ),
)
MEMBERS = MapOf(PATH, Struct("an archive's member", DIGEST_FIELDS, any_of=((ALGORITHMS, "its digest"),)))
OTHER_VERSIONS = ListOf(
    Struct(
        "another version",
        (
            Field("what", LINE, "which version it is", required=True),
            *DIGEST_FIELDS,
            Field("size", SIZE, "its size in bytes"),
        ),
        any_of=((ALGORITHMS, "its digest"),),
    ),
    "a list of other versions",
    most=100,
)

ASSET = Struct(
    "an asset",
    (
        Field("summary", LINE, "one line on what it is"),
        Field("urls", ListOf(SOURCE, "a list of URLs", least=1, most=100), "its sources, tried in order"),
        *DIGEST_FIELDS,
        Field("size", SIZE, "size of the file in bytes"),
        Field("members", MEMBERS, "digests of files inside the archive, by path"),
        Field("pinned_by", LINE, "where the digest is published"),
        Field("pin", Choice(("first-use",)), "no digest is published: the first fetch records one in modelprep.lock"),
        Field("licence", LICENCE, "its licence, and where it is stated"),
        Field("provide", Bool(), "true for a slot that the user fills with --set"),
        Field("restricted", Bool(), "true if the file must not be redistributed"),
        Field("filename", PATH, "the file's own name"),
        Field("other_versions", OTHER_VERSIONS, "files that servers are known to deliver instead of it"),
        Field("notes", NOTES, "further notes"),
    ),
    apart=tuple((name, "pin", "pin: first-use is for an asset without a published digest") for name in ALGORITHMS),
    any_of=((("urls", "provide"), "a source of the file"),),
)
SHARED_USE = Struct(
    "an asset with 'use'",
    (
        Field("use", NAME, "id of an asset in recipes/assets/*.yaml", required=True),
        Field("provide", Bool(), "true for a slot that the user fills with --set"),
        Field("summary", LINE, "one line on what it is for here"),
    ),
)
RECIPE_ASSET = ByKey("use", SHARED_USE, ASSET)

TOLERANCE = Struct(
    "a tolerance",
    (
        Field("relative", Number("a share from 0 to 1 (1.0e-5)"), "share of the output's largest value", required=True),
        Field("origin", LINE, "the origin of that number: measured on what, by whom", required=True),
    ),
)
STEP = Struct(
    "a step",
    (
        Field("id", NAME, "name of its output", required=True),
        Field(
            "uses", Text("the name of a step", text.STEP_PATTERN), "which step: caffe.bake, unpack, ...", required=True
        ),
        Field("with", Free(nodes=True), "its parameters"),
        Field("tolerance", TOLERANCE, "tolerance of its verification; default: the step's own"),
    ),
)

#: Names and values of a matrix; a value becomes part of file names, so it has the characters of a name.
VALUE = Text("a value (letters, digits, dot, dash, underscore)", text.NAME_PATTERN, numbers=True)
MATRIX = MapOf(
    Text("a name (letters, digits, underscore)", text.VARIABLE_PATTERN),
    ListOf(VALUE, "a list of values", least=1, most=50),
    least=1,
)

#: Parts of a recipe that a variant may replace.
_BODY = (
    Field("summary", LINE, "one line on what the demo does"),
    Field("manual", Text("a section of the manual", numbers=True), "section of the manual"),
    Field("status", Choice(STATUSES), "ready, bring-your-own (say why), or needs-nothing"),
    Field("why", LINE, "why you must supply a file"),
    Field("tree", FOLDER, "folder below --out"),
    Field("board", BOARD, "the folder on the board; default: the ssh user's home directory"),
    Field("assets", MapOf(NAME, RECIPE_ASSET), "files to download or supply"),
    Field("steps", ListOf(STEP, "a list of steps", most=200), "steps that convert them"),
    Field(
        "install",
        MapOf(PLACE, REF),
        "place in the tree -> its source; `folder/` takes a step's whole folder",
    ),
    Field("run", COMMAND, "the command for the board, run inside the tree"),
    Field(
        "interactive", Bool(), "true if the command needs a display, a camera or a network, so that no test starts it"
    ),
    Field("runs_on", Choice(PROCESSORS), "the board's processor that computes the model"),
    Field("expect", EXPECT, "check settings: what `modelprep check` compares with"),
    Field("manual_errors", NOTES, "errors and omissions of the manual"),
    Field("prints", NOTES, "expected output on the board"),
    Field("notes", NOTES, "further notes"),
)
#: Checked when a recipe is loaded without the variant: only its keys, as its values may be parts (or null, to remove
#: one).
VARIANT = Struct(
    "a variant",
    tuple(Field(each.name, each.shape if each.name == "summary" else Free(nodes=True), each.doc) for each in _BODY),
)
RECIPE = Struct(
    "a recipe",
    (
        Field("schema", Choice((SCHEMA_VERSION,)), "version of the recipe format", required=True),
        Field("demo", DEMO, "the demo's own name", required=True),
        Field("for", MATRIX, "name -> values: a variant for each combination, with `${name}` in texts"),
        *_BODY,
        Field("variants", MapOf(NAME, VARIANT), "other ways to prepare the demo, chosen with TARGET@variant"),
    ),
    demands=(("status", "bring-your-own", "why", "why the file cannot be fetched"),),
)
ASSETS_FILE = Struct(
    "a catalogue of assets",
    (
        Field("schema", Choice((SCHEMA_VERSION,)), "version of the recipe format", required=True),
        Field("assets", MapOf(NAME, ASSET), "the assets by their id", required=True),
    ),
)
