"""The verb that runs one step on your own files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.api.declaring import AnyPath, verb
from modelprep.api.frame import framed
from modelprep.errors import UsageError
from modelprep.events import Listener

if TYPE_CHECKING:
    from modelprep.formats.idx import Header
    from modelprep.pipeline.converting import Converted
    from modelprep.steps import ParamKind, Step


@verb()
def convert(
    step: str,
    params: Mapping[str, object],
    output: AnyPath,
    *,
    force: bool = False,
    numbers: bool = True,
    listen: Listener | None = None,
) -> Converted:
    """Run one step on your own files: ``caffe.bake``, ``tf.freeze``, ``onnx.fix`` and all others.

    Parameters
    ----------
    step
        Its name, as in a recipe (:func:`modelprep.steps.names` lists them).
    params
        Its parameters by name, as in a recipe, files as paths.
    output
        Path of the result; it appears complete or not at all.
    force
        Replace an existing file.
    numbers
        Also compare the numbers of original and result if a runtime is installed. The file itself is always checked.
    listen
        As for :func:`modelprep.run`; the task is ``convert:<step>``. Not every step reports progress.

    Raises
    ------
    UsageError
        A parameter is missing, unknown or of the wrong type; the output exists already or is an input.
    RecipeError
        The step is unknown.
    MissingTool
        The step needs an extra that is not installed.
    StepError
        The step cannot process these files, or its result is not valid or computes different numbers.
    StorageError
        Disk full or no permission; an earlier file of that name is still there.
    """
    with framed(listen) as tell:
        from modelprep.pipeline.converting import convert as do
        from modelprep.steps import find

        known = find(step).params
        values = {name: _value(known[name].kind, value) if name in known else value for name, value in params.items()}
        return do(step, values, Path(output), force=force, numbers=numbers, listen=tell)


def conversions(family: str) -> list[Step]:
    """Return the steps of a family (``caffe``, ``tf``) that can be run on your own files, sorted by name."""
    from modelprep.steps import find, names

    return [step for step in map(find, names(family)) if _is_command(step)]


def conversion_called(family: str, verb: str) -> Step | None:
    """Return the step that a command runs (``tf``, ``to-onnx``; no family, ``neutron``); None if there is none."""
    from modelprep.errors import RecipeError
    from modelprep.steps import find

    prefix = f"{family}." if family else ""
    for name in dict.fromkeys((f"{prefix}{verb.replace('-', '_')}", f"{prefix}{verb}")):
        try:
            step = find(name)
        except RecipeError:
            continue
        return step if _is_command(step) else None
    return None


def _is_command(step: Step) -> bool:
    """Say whether a step can be a command: all its required parameters can be written on a command line."""
    return step.command and not any(param.required and param.kind == "any" for param in step.params.values())


def _filled(step: str, params: Mapping[str, object]) -> dict[str, object]:
    from modelprep.steps import find

    return {name: params.get(name, param.default) for name, param in find(step).params.items()}


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Make a temporary folder beside a result, on its file system."""
    import tempfile

    from modelprep.formats.given import cannot_write

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(prefix=f".{target.name[:40]}.", dir=target.parent)
    except OSError as error:
        raise cannot_write(target, error) from None
    with beside as folder:
        yield Path(folder)


def make_folder(step: str, params: Mapping[str, object], output: AnyPath) -> Mapping[str, object]:
    """Run a step that makes a folder, which may exist already if it is empty; return the step's facts.

    Raises ModelprepError: as :func:`convert`.
    """
    with framed():
        from modelprep.formats.given import require_input
        from modelprep.steps import Call, find

        target = Path(output)
        for path in params.values():
            if isinstance(path, Path):
                require_input(path)
        if str(output) == "-":
            raise UsageError("the result cannot go to standard output", got="-", expected="a folder: -o DIR")
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError("the output exists already", where=str(target), expected="a new or an empty folder")
        with _beside(target) as folder:
            made = folder / "made"
            made.mkdir()
            facts = find(step).run(Call(_filled(step, params), made)) or {}
            made.replace(target)
        return facts


def unpack_idx(file: AnyPath, output: AnyPath, *, force: bool = False) -> tuple[Header, str]:
    """Write an idx file uncompressed, after checking that it is complete; return its header and its meaning.

    Raises ModelprepError: the file does not exist or is not an idx file; the output exists already.
    """
    with framed():
        from modelprep.formats import idx
        from modelprep.formats.given import require_apart, require_input, require_output

        source, target = Path(file), Path(output)
        require_input(source)
        require_apart(source, target)
        require_output(target, force=force)
        header = idx.unpack(source, target)
        return header, idx.meaning(header)


def bake_twice(params: Mapping[str, object], output: AnyPath, *, force: bool = False) -> Converted:
    """Run ``caffe.bake`` with both engines and compare the bytes; the native result is kept in any case.

    Raises CheckFailed: the results differ; ModelprepError: as :func:`convert`.
    """
    with framed():
        import tempfile

        from modelprep.errors import CheckFailed
        from modelprep.formats.caffe import pycaffe
        from modelprep.formats.caffe.bake import compare
        from modelprep.steps import Call, find

        pycaffe.interpreter()  # fail before any work if one engine is missing
        made = convert("caffe.bake", {**params, "engine": "native"}, output, force=force)
        with tempfile.TemporaryDirectory(prefix="modelprep-compare-") as folder:
            other = Path(folder) / "pycaffe.caffemodel"
            find("caffe.bake").run(Call({**_filled("caffe.bake", params), "engine": "pycaffe"}, other))
            difference = compare(made.output, other)
        if difference is not None:
            layer = f", layer '{difference.layer}'" if difference.layer else ""
            raise CheckFailed(
                "the two engines disagree",
                where=f"{output}: byte {difference.offset}{layer}",
                got=f"{difference.sizes[0]} and {difference.sizes[1]} bytes",
                hint="report this with the prototxt",
            )
        return made


def to_onnx_external(
    params: Mapping[str, object], output: AnyPath, *, force: bool = False, numbers: bool = True
) -> Converted:
    """Convert a Caffe net to ONNX with its weights in ``OUTPUT.data``; the model, which names the data, appears last.

    Raises ModelprepError: as :func:`convert`.
    """
    with framed():
        from modelprep.formats.given import cannot_write, require_output

        target = Path(output)
        data = target.with_name(f"{target.name}.data")
        for path in (target, data):
            require_output(path, force=force)
        with _beside(target) as folder:
            named = {**params, "name": target.name}
            made = convert("caffe.to_onnx_external", named, folder / "model", numbers=numbers)
            try:
                (made.output / data.name).replace(data)
                (made.output / target.name).replace(target)
            except OSError as error:
                raise cannot_write(target, error) from None
        return replace(made, output=target)


def _value(kind: ParamKind, value: object) -> object:
    if kind == "file" and isinstance(value, (str, PathLike)):
        return Path(value)
    if kind == "files" and isinstance(value, Mapping):
        return {name: Path(path) for name, path in value.items()}
    if kind == "files" and isinstance(value, (list, tuple)):
        return {Path(path).name: Path(path) for path in value}
    return list(value) if kind == "strs" and isinstance(value, tuple) else value
