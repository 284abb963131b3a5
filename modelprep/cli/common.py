"""What command modules share: the options that many have, and the frame that turns errors into exit codes.

How a command module is written
-------------------------------
``modelprep NAME`` lives in ``modelprep/cli/NAME.py`` and offers either ``command`` (one function with typer
annotations) or ``app`` (a ``typer.Typer`` with subcommands, made by :func:`group`). :mod:`modelprep.cli.commands` lists
the names; a module is imported only when its command is called, and imports what is heavy inside the function. The
function opens the sink, calls the library, and says what came of it::

    from __future__ import annotations

    from typing import Annotated

    import typer

    from modelprep.cli import common


    def command(
        targets: common.Targets,
        lint_only: Annotated[bool, typer.Option("--lint-only", help="Read the models, run nothing.")] = False,
        out: common.Out = common.DEFAULT_OUT,
        json: common.Json = False,
        quiet: common.Quiet = False,
    ) -> None:
        \"\"\"Say whether the board's tests will pass.\"\"\"
        with common.sink(json=json, quiet=quiet) as output:
            from modelprep.check import check        # heavy things here

            verdicts = check(targets, out=out, listen=output.listener())
            output.table("", ["test", "verdict"], [(v.name, v.text) for v in verdicts], key=0)
            output.result({"verdicts": [v.to_json() for v in verdicts]})
            if not all(v.passes for v in verdicts):
                raise typer.Exit(1)

A :class:`~modelprep.errors.ModelprepError` raised inside ``sink`` becomes one message and its exit code. An ``OSError``
that nobody turned into one counts as :class:`~modelprep.errors.StorageError`; Ctrl-C as exit code 130; anything else is
a bug of ours, and is said to be one
(:func:`modelprep.pipeline.run.errors.as_error`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep.cli.output import Output
from modelprep.errors import ModelprepError, UsageError

if TYPE_CHECKING:
    from modelprep.pipeline.plan.request import Plan, PlannedDemo
    from modelprep.recipe.catalogue import Catalogue

DEFAULT_OUT = Path("out")
DEFAULT_JOBS = 4


def complete_target(context: typer.Context, incomplete: str) -> list[str]:
    """Offer what a TARGET may be to the shell's completion; what is wrong with a recipe must not break the shell."""
    try:
        return catalogue([Path(each) for each in context.params.get("recipes") or ()]).offers(incomplete)
    except (ModelprepError, OSError):
        return []


Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET...",
        help="A group, a recipe (group/name, with @variant), a demo's own name, a path to a recipe file, or 'all'.",
        autocompletion=complete_target,
    ),
]
SomeTargets = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TARGET]...", help="As for fetch; everything if left out.", autocompletion=complete_target),
]
Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A recipe, a demo's own name or a path to a recipe file.",
        autocompletion=complete_target,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one object, or one event a line while it runs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what a script would read, warnings and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print everything, long lists included.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that holds the finished trees.")]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        envvar="MODELPREP_CACHE",
        help="The store (default: cache/ of a checkout, else the user's cache folder).",
    ),
]
Mirror = Annotated[
    list[str] | None,
    typer.Option(
        "--mirror",
        metavar="DIR_OR_URL",
        help="Look here first (laid out HOST/PATH); may be given more than once.",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Open no socket: only the store, folders and file: URLs.")]
NoArchives = Annotated[bool, typer.Option("--no-archives", help="Never ask the archives of last resort.")]
AllowPrivate = Annotated[
    bool | None,
    typer.Option(
        "--allow-private/--no-allow-private",
        envvar="MODELPREP_ALLOW_PRIVATE",
        help="Ask loopback and private addresses, redirects included; or never (default: unless a public server "
        "redirects there).",
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, metavar="N", help="How many downloads at once.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=PATH", help="Use a file of yours for an asset; may be given more than once."),
]
AcceptAny = Annotated[
    bool,
    typer.Option("--accept-any", help="Take a --set file even if it looks like a web page, a pointer or is empty."),
]
Link = Annotated[bool, typer.Option("--link", help="Hard links into the store instead of copies.")]
Locked = Annotated[bool, typer.Option("--locked", help="Refuse to add pins to the lock file (for CI).")]
LockFile = Annotated[
    Path | None,
    typer.Option("--lockfile", metavar="FILE", help="Pins of first use (default: modelprep.lock in --out)."),
]
Recipes = Annotated[
    list[Path] | None,
    typer.Option(
        "--recipes",
        metavar="DIR",
        help="A folder of recipes of your own, which may replace ours; may be given more than once "
        "(MODELPREP_RECIPES adds more).",
    ),
]
Armnn = Annotated[
    str | None, typer.Option("--armnn", metavar="VERSION", help="Prepare for another Arm NN, where the facts know it.")
]
BspRelease = Annotated[
    str | None,
    typer.Option("--bsp", metavar="RELEASE", help="i.MX Linux release of the board (`modelprep bsp list`)."),
]
Soc = Annotated[str | None, typer.Option("--soc", metavar="SOC", help="SoC of the board: imx8mp, imx93 or imx95.")]
RemoteCache = Annotated[
    str | None,
    typer.Option(
        "--remote-cache",
        metavar="URL",
        envvar="MODELPREP_REMOTE_CACHE",
        help="A cache shared with other machines: https://, or s3://, gs://, az:// with the extra 'remote'.",
    ),
]
RemoteCacheMode = Annotated[
    str, typer.Option("--remote-cache-mode", metavar="read|write", help="Only read it, or save downloads there too.")
]
TrustRemoteResults = Annotated[
    bool,
    typer.Option("--trust-remote-results", help="Take conversions from the remote cache too (mode write: save them)."),
]


def group(help: str) -> typer.Typer:  # noqa: A002 - typer's own word
    """Make the ``app`` of a command that has subcommands."""
    return typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@contextmanager
def sink(*, json: bool = False, quiet: bool = False, verbose: bool = False) -> Iterator[Output]:
    """Open the sink; on the way out, turn what was raised into a message and an exit code (``typer.Exit``)."""
    output = Output("json" if json else "quiet" if quiet else "human", verbose=verbose)
    try:
        yield output
        output.close()
    except typer.Exit:
        output.close()
        raise
    except (KeyboardInterrupt, Exception) as caught:  # noqa: BLE001 - the outermost frame
        # Whatever comes is told in the mode the user asked for.
        from modelprep.pipeline.run.errors import as_error

        output.close()
        error = as_error(caught)
        output.error(error)
        output.close()
        raise typer.Exit(error.exit_code) from None


def catalogue(recipes: list[Path] | None) -> Catalogue:
    """Open the catalogue: the shipped recipes, then ``MODELPREP_RECIPES``, then each ``--recipes``."""
    from modelprep.recipe.catalogue import Catalogue

    return Catalogue.open(recipes or ())


def typed(context: typer.Context) -> tuple[str, ...]:
    """Give the command line as it was typed, for a hint that repeats it: without what only says how to print."""
    from modelprep.url import scrub

    left_out = ("--json", "--quiet", "-q", "--verbose", "-v", "--dry-run", "-n")
    words = context.obj if isinstance(context.obj, list) else []
    return ("modelprep", *(scrub(word) for word in words if word not in left_out)) if words else ()


def overrides(values: list[str] | None) -> dict[str, Path]:
    """Read the ``--set NAME=PATH`` options.

    Raises
    ------
    UsageError
        No equals sign, a name given twice, or a file that is not there.
    """
    chosen: dict[str, Path] = {}
    for value in values or ():
        name, equals, path = value.partition("=")
        if not equals or not name or not path:
            raise UsageError("--set takes NAME=PATH", got=value)
        if name in chosen:
            raise UsageError(f"--set gives '{name}' twice", got=f"{chosen[name]} and {path}")
        # The shell expands ~ only at the start of a word, and this one starts with NAME=.
        file = Path(path).expanduser()
        if not file.is_file():
            raise UsageError(f"the file for '{name}' is not there", where=str(file))
        chosen[name] = file
    return chosen


def download_size(plan: Plan, demo: PlannedDemo) -> str:
    """Write what there is to download for one demo: ``~`` where only the size inside an archive is known, or ``?``."""
    from modelprep.cli.output import size_text
    from modelprep.pipeline.run.summary import bytes_of

    exact = bytes_of(plan, demo)
    if exact is not None:
        return size_text(exact)
    rough = bytes_of(plan, demo, roughly=True)
    return f"~{size_text(rough)}" if rough is not None else "?"
