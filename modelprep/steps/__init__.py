"""Conversion steps: one small module per step, found by its name.

A step ``caffe.bake`` lives in ``modelprep/steps/caffe_bake.py`` and is that module's ``STEP``. A new step needs no
registration: :func:`find` imports the module by the name, :func:`names` lists the folder. Installed packages add more
(:mod:`modelprep.steps._plugins`).

A step is a pure function from files to files: the same inputs, parameters and `version` result in the same bytes. It
reads its file parameters, writes only at ``call.output``, and does not depend on recipes, stores or networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelprep.errors import MissingTool, RecipeError, nearest
from modelprep.structs import dataclass, field, replace

if TYPE_CHECKING:
    from types import ModuleType

    from modelprep.steps._plugins import Plugin

ParamKind = Literal["file", "files", "str", "strs", "int", "float", "bool", "map", "any"]
#: Values of parameters by name; what a step reports (JSON-ready); bytes of files by slot, None: unknown.
Params = Mapping[str, Any]
Facts = Mapping[str, object]
Sizes = Mapping[str, "int | None"]

_FOLDER = Path(__file__).parent
#: Steps of shipped recipes that are in a separate package -> that package (docs/examples).
_ELSEWHERE: Mapping[str, str] = {"neutron": "modelprep-neutron"}


def _ignore(*_: object) -> None:
    """Do nothing: nobody listens, or nothing is known."""


def needs(*extras: str) -> Callable[[Params], tuple[str, ...]]:
    """Return the :attr:`Step.extras` of a step that needs these whatever its parameters."""
    return lambda _: extras


@dataclass(frozen=True)
class Param:
    """One parameter of a step.

    Parameters
    ----------
    kind
        ``file`` takes a ``$ref`` and arrives as a Path; ``files`` a mapping name -> ``$ref`` or a list of them (arrives
        as a dict of Paths; a list's keys are the file names); ``strs`` a list of strings; ``map`` a mapping of plain
        values.
    required, default
        A parameter that is not required arrives as its default when left out.
    choices
        The allowed values, if they are few.
    board
        Fact of the board's release (:class:`modelprep.targets.bsp.Bsp`) that is its default in a recipe.
    doc
        One sentence for ``modelprep recipe lint`` messages, the help of the step's command and the documentation.
    option
        Its names as an option of the step's command (``--output-node -n``) if not just ``--name``; None: not an option.
        A required file is positional.
    metavar
        Placeholder of its value in help texts. One in brackets is optional (:attr:`Step.complete` fills it).
    least
        Minimum of the command's option.
    read
        Reads the VALUE of ``NAME=VALUE`` (kind ``map``), or the one value (kind ``any``); ValueError if it is not
        valid. Default: YAML.
    """

    kind: ParamKind
    doc: str
    required: bool = False
    default: object = None
    choices: tuple[object, ...] = ()
    board: str = ""
    option: str | None = ""
    metavar: str = ""
    least: int | None = None
    read: Callable[[str], object] | None = None


@dataclass(frozen=True)
class Call:
    """One call of a step.

    Parameters
    ----------
    params
        Checked values by name; file parameters are Paths of read-only files with meaningless *names* (store blobs are
        named by digest), defaults filled in.
    output
        Where to write. For a step that `produces` a file: an unused path. For one that produces a folder: an empty
        folder.
    progress
        Called with (bytes done, bytes in all or None).
    warn
        Called with a sentence that the user should read; it is stored with the result and shown again on a second run.
    """

    params: Params
    output: Path
    progress: Callable[[int, int | None], None] = _ignore
    warn: Callable[[str], None] = _ignore


@dataclass(frozen=True)
class Proven:
    """A step that converts a model: original and result compute the same numbers on the same inputs.

    Parameters
    ----------
    by
        Name of the comparison in :mod:`modelprep.check.proof.kinds`.
    tolerance, origin
        Largest allowed difference, as a fraction of the output's largest value, and where that number comes from.
    otherwise
        Another way to make the same result, to find out which one is wrong; empty if there is none.
    """

    by: str
    tolerance: float
    origin: str
    otherwise: str = ""


@dataclass(frozen=True)
class Exempt:
    """A step whose result needs no comparison, and why; `check` shows ``told`` of its facts."""

    reason: str


@dataclass(frozen=True)
class Compared(Exempt):
    """A step that runs original and result itself, and raises StepError if they differ too much.

    Its facts have ``agreement``, as :func:`modelprep.steps._agreement.compare` returns it. ``reason`` describes
    runtimes and inputs.
    """


@dataclass(frozen=True)
class Step:
    """A step: its name, its parameters, its function.

    Parameters
    ----------
    name
        ``family.verb`` or one word.
    version
        Part of the result's key; raise it whenever the output changes.
    run
        Does the work; may return facts (JSON-ready) to be stored with the result. On bad input it raises only
        ModelprepError (mostly StepError); when it returns, its output is complete.
    produces
        ``file`` or ``folder``.
    cpu_bound
        True when it should run in a separate process beside the downloads.
    extras
        Returns the extras (``tf``, ``onnx``) that a call needs, checked before any download; :func:`needs` if the
        parameters do not matter.
    tool
        Returns name and version of the external program that a call runs (``vela 5.2.0``), part of the result's key.
        Raises MissingTool without the program. None for a step that runs none.
    room
        Returns an upper bound of the bytes that a call writes, or None: from its plain parameters and the bounds of its
        files' sizes by slot (``param``, or ``param/name`` of kind ``files``).
    origin
        Distribution and version of the plug-in with the step, part of the result's key; empty for steps of modelprep.
    complete
        Returns the parameters with derived ones, for a command: the shards beside a checkpoint's index, the files of
        external data. Called before the parameters are checked: a file is a Path or left out.
    command
        Whether ``modelprep FAMILY VERB`` runs it on the user's own files.
    example
        Words of a call for the help of that command: ``graph.pb -o out.pb``.
    proof
        How its results are compared with its inputs, or why there is nothing to compare.
    """

    name: str
    version: int
    summary: str
    params: Mapping[str, Param]
    run: Callable[[Call], Facts | None]
    produces: Literal["file", "folder"] = "file"
    cpu_bound: bool = False
    extras: Callable[[Params], tuple[str, ...]] = needs()
    tool: Callable[[Params], str] | None = None
    room: Callable[[Params, Sizes], int | None] = _ignore
    origin: str = ""
    complete: Callable[[Params], Params] | None = None
    command: bool = True
    example: str = ""
    proof: Proven | Exempt = field(kw_only=True)


def same_size(_: Params, sizes: Sizes) -> int | None:
    """Return the :attr:`Step.room` of a step that copies its files: their total size in bytes."""
    known = [size for size in sizes.values() if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def module_of(name: str) -> str:
    """Return the module name of a step: ``caffe.bake`` -> ``caffe_bake``, ``idx.check`` -> ``idx_check``."""
    return name.replace(".", "_").replace("-", "_")


def names(family: str = "") -> tuple[str, ...]:
    """Return the names of all steps, or of one family, with those of plug-ins, sorted; imports their modules."""
    from modelprep.steps._plugins import plugins

    others = [each.name for each in plugins() if not unusable(each)]
    return tuple(sorted([*_own(family), *(name for name in others if not family or name.startswith(f"{family}."))]))


def find(name: str) -> Step:
    """Return a step by its name: a built-in one, else one of an installed plug-in (docs/how-to/steps-plugin.md).

    Raises
    ------
    RecipeError
        The step is unknown; the nearest ones are suggested.
    MissingTool
        Its plug-in does not load or, for a shipped recipe, is not installed.
    """
    step = _load(module_of(name)) if name.replace(".", "").replace("_", "").replace("-", "").isalnum() else None
    if step is not None and step.name == name:
        return step
    from modelprep.steps._plugins import plugins

    for plugin in plugins():
        if plugin.name == name:
            if problem := unusable(plugin):
                raise replace(plugin, problem=problem).error()
            return _of_plugin(plugin)
    if name in _ELSEWHERE:
        from modelprep.installed import package_command

        what = f"the package {_ELSEWHERE[name]}, which provides the step '{name}', is not installed"
        raise MissingTool(what, hint=package_command(_ELSEWHERE[name]))
    known = names()
    raise RecipeError(f"unknown step '{name}'", hint=nearest(name, known) or f"known steps: {', '.join(known)}")


def unusable(plugin: Plugin) -> str:
    """Return why a plug-in's step cannot be used; an empty string if it can."""
    step = plugin.found
    if plugin.problem:
        return plugin.problem
    if plugin.name in _own():
        return "modelprep itself has a step of that name"
    if not isinstance(step, Step):
        return f"the entry point is not a modelprep.steps.Step but {type(step).__name__}"
    if step.name != plugin.name:
        return f"the entry point is called '{plugin.name}' and its step '{step.name}'"
    sound = (
        isinstance(step.version, int) and callable(step.run) and isinstance(step.proof, Proven | Exempt)
        and isinstance(step.params, Mapping) and all(isinstance(param, Param) for param in step.params.values())
        and step.produces in ("file", "folder")
    )  # fmt: skip
    return "" if sound else "its version, params, run, produces or proof is not what modelprep.steps.Step describes"


def _of_plugin(plugin: Plugin) -> Step:
    from modelprep.steps._plugins import guarded

    step = plugin.found
    assert isinstance(step, Step)
    safe = {
        name: guarded(function, plugin, facts=name == "run")
        for name in ("run", "extras", "room", "tool", "complete")
        if (function := getattr(step, name)) is not None
    }
    return replace(step, origin=plugin.origin, **safe)  # type: ignore[arg-type]  # the same functions, in a frame


def _own(family: str = "") -> tuple[str, ...]:
    stems = (path.stem for path in _FOLDER.glob(f"{family}_*.py" if family else "*.py"))
    return tuple(sorted(step.name for stem in stems if (step := _load(stem)) is not None))


@lru_cache(maxsize=256)
def _module(stem: str) -> ModuleType | None:
    from importlib import import_module

    return import_module(f"{__name__}.{stem}") if (_FOLDER / f"{stem}.py").is_file() else None


def _load(stem: str) -> Step | None:
    step = None if stem.startswith("_") else getattr(_module(stem), "STEP", None)
    return step if isinstance(step, Step) else None
