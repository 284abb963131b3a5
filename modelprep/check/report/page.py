"""The HTML report: one self-contained file, readable on a phone, in light and dark.

This module collects the facts of each demo; :mod:`modelprep.pages` has the layout.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from modelprep.check.demos import Checked
from modelprep.check.lint.findings import Finding
from modelprep.check.messages import fix
from modelprep.check.report import png, thumbnails
from modelprep.check.summary import totals
from modelprep.check.types import Judged, Verdict
from modelprep.check.verdict import preprocessing
from modelprep.errors import StepError, StorageError
from modelprep.formats.arrays import Array
from modelprep.formats.output import sha256_of
from modelprep.pages import render
from modelprep.store.disk import write_atomic
from modelprep.targets.armnn_rules import rules
from modelprep.targets.class_names import label
from modelprep.tree.manifest import AssetUsed, InstalledFile, Manifest, read_manifest
from modelprep.tree.places import tree_name

#: State -> its class in the stylesheet; the first stand first.
_COLOURS = {
    "fails": "fails",
    "unknown": "unknown",
    "not fetched": "notfetched",
    "passes": "passes",
    "nothing": "nothing",
}
#: What came of a proof -> the colour that says so.
_PROOF = {"same": "sound", "differs": "reject", "unknown": "wrong"}
#: Pixels of the longer side of an embedded photograph.
_THUMBNAIL = 320
#: Answers listed in the index before it counts the others.
_ANSWERS = 10
#: Below this many pixels a side a browser is told not to blur.
_TINY = 64
#: Where the upper half of a byte's range begins.
_MIDDLE = 128
#: So many places of one rule are named; a model that breaks it everywhere fills no screens with it.
_PLACES = 12


Origin = Callable[[str], "str | None"]


def _nowhere(_sha256: str) -> None:
    """Know of no origin."""


def write_page(
    path: Path, checked: Sequence[Checked], out: Path, commands: Sequence[str] = (), origin: Origin = _nowhere
) -> None:
    """Write the report.

    Parameters
    ----------
    out
        The folder that holds the trees, for the provenance of their files.
    commands
        What fetches the files that are not there.
    origin
        Says of an asset's sha256 where it was downloaded from, or None.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    write_atomic(path, page(checked, out, commands, origin).encode())


def page(
    checked: Sequence[Checked],
    out: Path,
    commands: Sequence[str] = (),
    origin: Origin = _nowhere,
    when: datetime | None = None,
) -> str:
    """Return the report's text; see :func:`write_page`. `when` is now where left out."""
    order = list(_COLOURS)
    # Problems first; a test that the board does not have stands before those without a criterion.
    ranked = sorted(checked, key=lambda one: order.index(one.state) if one.state in order else len(order) - 1.5)
    versions = sorted({one.verdict.test.version for one in checked if one.verdict is not None})
    boards = sorted({" ".join(filter(None, (one.recipe.bsp, one.recipe.soc))) for one in checked} - {""})
    count = sum(one.state == "not fetched" for one in checked)
    missing = f"{count} {'demo has' if count == 1 else 'demos have'} missing files." if count else ""
    return render(
        "check",
        when=when or datetime.now(timezone.utc),
        title="Board test report",
        facts=[
            ("board", ", ".join(boards)),
            ("Arm NN", ", ".join(versions)),
            ("folder", str(out.absolute())),
        ],
        totals=totals(checked) or "no test was checked",
        missing=missing,
        commands=commands,
        checks=[_check(one, out, origin) for one in ranked],
    )


def _check(one: Checked, out: Path, origin: Origin) -> dict[str, object]:
    """Return what the page tells of one demo."""
    verdict = one.verdict
    absent = one.state == "not fetched"
    differs = any(proof.outcome == "differs" for proof in one.proofs)
    # A test that the board lacks says so by its state.
    reason = one.reason if verdict is None and one.reason != one.word else ""
    facts: dict[str, object] = {
        "demo": one.recipe.demo,
        "summary": one.recipe.summary,
        "colour": _COLOURS.get(one.state, "later"),
        "word": "nothing to judge" if one.state == "nothing" else one.word,
        "folded": one.state not in ("fails", "unknown") and not differs,
        "reason": reason,
        "brief": reason if verdict is None else "" if absent else verdict.why or _answers(verdict),
        "command": "",
        "hint": "",
        "message": "",
        "notes": (),
        "cases": [],
        "rules": [],
        "files": _files(one, out, origin),
        "proofs": [
            {"colour": _PROOF[proof.outcome], "step": step, "text": text}
            for proof in one.proofs
            for step, _, text in [str(proof).partition(": ")]
        ],
    }
    if verdict is not None:
        facts |= _verdict(one, verdict)
    return facts


def _answers(verdict: Verdict) -> str:
    listing = verdict.test.names
    got = [label(listing, case.got) for case in verdict.cases if case.got is not None]
    return ", ".join(got[:_ANSWERS]) + (f" and {len(got) - _ANSWERS} more" if len(got) > _ANSWERS else "")


def _verdict(one: Checked, verdict: Verdict) -> dict[str, object]:
    ends = f", exit status {verdict.exit_status}" if verdict.exit_status else ""
    # As many as keep what the network saw: the ten thousand records of -i 10000 would be no page any more.
    shown = [case for case in verdict.cases if case.seen is not None] or list(verdict.cases[:1])
    about = []
    if rest := len(verdict.cases) - len(shown):
        wrong = sum(not case.passes for case in verdict.cases)
        about.append(f"{rest} more cases were run; {wrong} of all {len(verdict.cases)} fail.")
    if _is_pale(verdict):
        about.append(
            f"Arm NN {verdict.test.version} feeds this network only bytes from 128 up, so its input looks pale."
        )
    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    for found in verdict.findings:
        groups.setdefault((found.rule, found.effect, found.prints, found.mend), []).append(found)
    command = verdict.command
    return {
        "message": verdict.message,
        "said_by": f"Output on the board{ends}" if verdict.outcome == "fails" else "Not run",
        "command": command,
        "hint": verdict.hint.removesuffix(command).rstrip(": ") if command and verdict.hint.endswith(command)
        else verdict.hint,
        "notes": verdict.warnings,
        "runtime": verdict.runtime,
        "kind": "cases" if verdict.test.cases else "cases records",
        "cases": [_case(one, verdict, case) for case in shown],
        "about_cases": about,
        "model": verdict.test.model,
        "rules": [_rule(one, verdict, group) for group in groups.values()],
    }  # fmt: skip


def _is_pale(verdict: Verdict) -> bool:
    fed = [case.seen for case in verdict.cases if case.seen is not None]
    return bool(fed) and all(values.dtype.kind == "u" and values.min() >= _MIDDLE for values in fed)


def _case(one: Checked, verdict: Verdict, case: Judged) -> dict[str, object]:
    listing = verdict.test.names
    pictures = []
    if verdict.test.cases and one.files is not None:
        pictures.append(_figure(_photograph(one.files.data / case.file), case.file))
    if case.seen is not None:
        pixels = thumbnails.as_picture(case.seen, preprocessing(verdict.test))
        size = f"{pixels.shape[1]} \N{MULTIPLICATION SIGN} {pixels.shape[0]}"
        caption = f"input of the network, {size}" if verdict.test.cases else f"record {case.id}, {size}"
        pictures.append(_figure(pixels, caption, _boxes(case)))
    got = "nothing found" if case.got is None else label(listing, case.got)
    if case.wanted is None:
        line = f"{got}; with -i no class is compared"
    elif case.passes:
        line = f"{got}, as expected"
    else:
        line = f"{got}, expected {label(listing, case.wanted)}"
    best = max((score for _, score in case.top), default=0.0)
    return {
        "id": case.id,
        "line": line,
        "passes": case.passes,
        "pictures": [picture for picture in pictures if picture],
        "bars": [
            {
                "name": label(listing, number),
                # As long as its share of the best; scores that are no probabilities (logits) may be negative.
                "share": f"{max(0.0, min(1.0, score / best)) if best > 0 else 0.0:.1%}",
                "score": f"{score:.4g}",
                "first": number == case.got,
                "wanted": number == case.wanted,
            }
            for number, score in case.top
        ],
        "legend": _legend(case),
    }


def _boxes(case: Judged) -> list[tuple[str, ...]]:
    """Return the box that a test wants and the best that was found, as shares of the picture's sides."""
    if case.asked is None:
        return []
    lines = [("asked", case.asked), *(("found", one) for one in case.found[:1])]
    return [
        (kind, f"{left:.4f}", f"{top:.4f}", f"{right - left:.4f}", f"{bottom - top:.4f}")
        for kind, one in lines
        for left, top, right, bottom in [one.corners()]
    ]


def _legend(case: Judged) -> list[tuple[str, str]]:
    if case.asked is None:
        return []
    lines = [("asked", "wanted", case.asked), *(("found", "best found", one) for one in case.found[:1])]
    return [
        (kind, f"{words}: {one.score:.4g} at ({', '.join(f'{value:.4g}' for value in one.box)})")
        for kind, words, one in lines
    ]


def _photograph(path: Path) -> Array | None:
    from modelprep.formats.picture import decode

    try:
        return thumbnails.thumbnail(decode.read(path, exact=False).three_channels(), _THUMBNAIL)
    except (StepError, OSError):
        return None


def _figure(pixels: Array | None, caption: str, boxes: Sequence[tuple[str, ...]] = ()) -> dict[str, object]:
    """Return a picture with its caption and what is drawn over it; empty if there is none."""
    if pixels is None:
        return {}
    data = f"data:image/png;base64,{base64.b64encode(png.encode(pixels)).decode()}"
    return {"data": data, "caption": caption, "tiny": max(pixels.shape[:2]) < _TINY, "boxes": boxes}


def _rule(one: Checked, verdict: Verdict, found: list[Finding]) -> dict[str, object]:
    """Return one rule with every place that goes against it."""
    first = found[0]
    places = [f"{each.where}{f' ({each.detail})' if each.detail else ''}" for each in found]
    if len(places) > _PLACES:
        places[_PLACES - 1 :] = [f"and {len(found) - _PLACES + 1} more"]
    model = one.files.models / verdict.test.model if one.files is not None else Path(verdict.test.model)
    return {
        "id": first.rule,
        "effect": first.effect,
        "says": rules()[first.rule].says,
        "prints": first.prints if first.serious else "",
        "places": places,
        "fix": fix(model, first, verdict.test)[0],
    }


def _files(one: Checked, out: Path, origin: Origin) -> list[dict[str, object]]:
    try:
        manifest = read_manifest(out / tree_name(one.recipe))
    except StorageError:
        manifest = Manifest()
    files = [manifest.files[path] for path in one.recipe.install if path in manifest.files]
    return [_file(file, out / tree_name(one.recipe), origin) for file in files]


def _file(file: InstalledFile, tree: Path, origin: Origin) -> dict[str, object]:
    try:
        same = sha256_of(tree / file.path) == file.sha256
    except StorageError:
        same = False
    return {
        "path": file.path,
        "size": f"{file.size:,} bytes",
        "sha256": file.sha256,
        "changed": not same,
        "assets": [
            {
                "source": _source(asset.source),
                "delivered": _delivered(asset, origin),
                "licence": (asset.licence or "no licence is stated") + ", do not redistribute" * asset.restricted,
                "sha256": asset.sha256,
            }
            for asset in file.provenance.assets
        ],
        "steps": ", then ".join(f"{used.step} (version {used.version})" for used in file.provenance.steps),
    }


def _delivered(asset: AssetUsed, origin: Origin) -> str:
    """Say where a file was downloaded from, where that is not its source."""
    came = (origin(asset.sha256) if asset.canonical_url else None) or ""
    return "" if came == asset.source else came


def _source(source: str) -> str:
    if source.startswith(("http://", "https://")):
        return source
    return "a file of the user\N{RIGHT SINGLE QUOTATION MARK}s own" + (f" ({source})" if source else "")
