"""Every key that a recipe may have, once: what it holds and what it is for.

The loader reads by these tables and the exported JSON Schema is made from them.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from modelprep.recipe.scalars import Bool, Choice, Free, Hex, Int, Number, Text
from modelprep.recipe.schema import ALGORITHMS, HEX_LENGTH, SCHEMA_VERSION, STATUSES
from modelprep.recipe.shapes import ByKey, Either, Field, ListOf, MapOf, Struct

#: End of the string in both Python and ECMAScript (`$` alone lets a trailing newline pass in Python).
_END = r"$(?![\s\S])"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*" + _END
PATH_PATTERN = (
    r"^(?!(?:[^/]*/)*\.{0,2}(?:/|$(?![\s\S])))(?![A-Za-z]:)(?!\s)(?![\s\S]*\s$(?![\s\S]))"
    r"(?!(?:[^/]*/)*[^/]{256})[^\\\x00-\x1f\x7f]{1,1024}" + _END
)
URL_PATTERN = r"^(?:https?://[^/?#\s\\\x00-\x20\x7f]+(?:[/?#][^\s\x00-\x20\x7f]*)?|file:[^\s\x00-\x20\x7f]+)" + _END
REF_PATTERN = r"^\$[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[\s\S]+)?" + _END
STEP_PATTERN = r"^[a-z][a-z0-9_-]*(?:\.[a-z][a-z0-9_-]*)?" + _END

#: Files that the tool itself writes at the top of a tree.
OWN_FILES = ("MANIFEST.json", "SHA256SUMS", "run-tests.sh")


def path_fault(text: str) -> str | None:
    """Say why a text is no path inside a tree or an archive, or None when it is one.

    Agrees with `PATH_PATTERN`: relative, posix, without ``.`` and ``..``, without anything that another system reads
    differently.
    """
    if text.startswith("/"):
        return "the path is absolute"
    if re.match(r"[A-Za-z]:", text):
        return "the path starts with a drive letter"
    if "\\" in text:
        return "the path holds a backslash; parts are separated by /"
    if re.search(r"[\x00-\x1f\x7f]", text):
        return "the path holds a control character"
    if text != text.strip():
        return "the path starts or ends with a blank"
    parts = text.split("/")
    if ".." in parts:
        return "the path leads out of its folder (..)"
    if "" in parts or "." in parts:
        return "the path has an empty part (//, a / at its end, or a lone dot)"
    if len(text) > 1024 or any(len(part) > 255 for part in parts):
        return "the path is too long (255 characters a part, 1024 in all)"
    return None


def url_fault(text: str) -> str | None:
    """Say why a text is no URL that can be fetched, or None when it is one."""
    if re.search(r"[\s\x00-\x20\x7f]", text):
        return "the URL holds a blank or control character (a blank is written %20)"
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        return "this is not a URL"
    if scheme not in ("http", "https", "file"):
        return f"'{scheme}:' URLs are not fetched" if scheme else "this is not a URL: it has no scheme"
    return None if re.search(URL_PATTERN, text) else "this is not a URL"


NAME = Text("a name (letters, digits, dot, dash, underscore)", NAME_PATTERN)
LOCK_KEY = Text("a shared asset's name, or group/recipe#asset", rf"^(?:[^\s#:/][^#:/]*/[^#:/]+#)?{NAME_PATTERN[1:]}")
PATH = Text("a relative path with / between its parts", PATH_PATTERN, path_fault)
URL = Text("an http, https or file URL", URL_PATTERN, url_fault)
REF = Text("a reference: $asset, $step or $step/inner/path", REF_PATTERN)
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
            Field("url", URL, "where it is: http, https, file, or a share link", required=True),
            Field("member", PATH, "the wanted file inside the archive found at the URL"),
            *DIGEST_FIELDS,
            Field("size", SIZE, "bytes of what lies at the URL"),
            Field("note", LINE, "a word for whoever reads `modelprep show`"),
        ),
    ),
)
LICENCE = Either(
    LINE,
    Struct(
        "a licence",
        (
            Field("name", LINE, "an SPDX id or a phrase", required=True),
            Field("source", LINE, "where that is said"),
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
            Field("size", SIZE, "its bytes"),
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
        Field("urls", ListOf(SOURCE, "a list of URLs", least=1, most=100), "where it can be had, tried in order"),
        *DIGEST_FIELDS,
        Field("size", SIZE, "bytes of the wanted file"),
        Field("members", MEMBERS, "digests of files inside the archive, by path"),
        Field("pinned_by", LINE, "where the digest is published"),
        Field("pin", Choice(("first-use",)), "no digest is published: record the first one seen in modelprep.lock"),
        Field("licence", LICENCE, "what is known of its licence, and where that is said"),
        Field("provide", Bool(), "true for a slot that the user fills with --set"),
        Field("restricted", Bool(), "true where the file must not be passed on"),
        Field("filename", PATH, "the file's own name"),
        Field("other_versions", OTHER_VERSIONS, "files known to come in its place, to be named when they do"),
        Field("notes", NOTES, "what else is worth knowing"),
    ),
    apart=tuple((name, "pin", "pin: first-use is for an asset whose digest nobody publishes") for name in ALGORITHMS),
    any_of=((("urls", "provide"), "where the file comes from"),),
)
SHARED_USE = Struct(
    "an asset taken with 'use'",
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
        Field("origin", LINE, "where that number comes from: measured on what, by whom", required=True),
    ),
)
STEP = Struct(
    "a step",
    (
        Field("id", NAME, "name of what it makes", required=True),
        Field("uses", Text("the name of a step", STEP_PATTERN), "which step: caffe.bake, unpack, ...", required=True),
        Field("with", Free(nodes=True), "its parameters"),
        Field("tolerance", TOLERANCE, "how far its result may be from what it was made from; default: the step's own"),
    ),
)

#: Parts of a recipe that a variant may lay over it.
_BODY = (
    Field("summary", LINE, "one line on what the demo does"),
    Field("manual", Text("a section of the manual", numbers=True), "section of the manual"),
    Field("status", Choice(STATUSES), "ready, bring-your-own (say why), or needs-nothing"),
    Field("why", LINE, "why something has to be brought"),
    Field("tree", PATH, "folder below --out"),
    Field("board", LINE, "where the folder belongs on the board; default: the login's home"),
    Field("assets", MapOf(NAME, RECIPE_ASSET), "files that come from outside"),
    Field("steps", ListOf(STEP, "a list of steps", most=200), "what is done to them"),
    Field("install", MapOf(PATH, REF), "place in the tree -> what goes there"),
    Field("run", LINE, "the command for the board, run inside the tree"),
    Field("expect", MapOf(Text("a key"), Free(nodes=True)), "what `modelprep check` goes by"),
    Field("manual_errors", NOTES, "what the manual says wrongly, or leaves out"),
    Field("prints", NOTES, "what the board prints when all is well"),
    Field("notes", NOTES, "what else is worth knowing"),
)
#: Read when a recipe is loaded without the variant: its keys only, as its values may be parts (or null, to take away).
VARIANT = Struct(
    "a variant",
    tuple(Field(each.name, each.shape if each.name == "summary" else Free(nodes=True), each.doc) for each in _BODY),
)
RECIPE = Struct(
    "a recipe",
    (
        Field("schema", Choice((SCHEMA_VERSION,)), "version of the recipe format", required=True),
        Field("demo", LINE, "the demo's own name", required=True),
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
