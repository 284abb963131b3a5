"""The HTML report: one self-contained file, readable on a phone, in light and dark.

This module collects the facts of each demo; :mod:`modelprep.pages` has the layout.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from modelprep.check.board.boxes import Detection
from modelprep.check.demos import Checked, totals
from modelprep.check.lint.findings import Finding
from modelprep.check.messages import fix
from modelprep.check.report import png, thumbnails
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

#: State -> its class in the stylesheet, in the order of the page.
_COLOURS = {
    "fails": "fails", "unknown": "unknown", "not fetched": "notfetched", "passes": "passes", "nothing": "nothing",
}  # fmt: skip
#: Outcome of a proof -> its class in the stylesheet.
_PROOF = {"same": "sound", "differs": "reject", "unknown": "wrong"}
#: Pixels of the longer side of an embedded photograph.
_THUMBNAIL = 320
#: Number of answers listed in the index; the others are counted.
_ANSWERS = 10
#: Below this many pixels a side a browser is told not to blur.
_TINY = 64
#: Where the upper half of a byte's range begins.
_MIDDLE = 128
#: Number of places of one rule that are listed.
_PLACES = 12
Origin = Callable[[str], "str | None"]


def _nowhere(_sha256: str) -> None:
    """Return no origin."""


def write_page(
    path: Path, checked: Sequence[Checked], out: Path, commands: Sequence[str] = (), origin: Origin = _nowhere
) -> None:
    """Write the report.

    `out`: the folder of the trees, for the provenance of their files. `commands`: what fetches missing files.
    `origin`: returns the URL that an asset was downloaded from, by its sha256, or None. Raises StorageError: it cannot
    be written.
    """
    write_atomic(path, page(checked, out, commands, origin).encode())


def page(
    checked: Sequence[Checked], out: Path, commands: Sequence[str] = (), origin: Origin = _nowhere,
    when: datetime | None = None,
) -> str:  # fmt: skip
    """Return the report's text; see :func:`write_page`. `when`: default now."""
    order = list(_COLOURS)
    # Problems first; a test that the board does not have stands before those without a criterion.
    ranked = sorted(checked, key=lambda one: order.index(one.state) if one.state in order else len(order) - 1.5)
    versions = sorted({one.verdict.test.version for one in checked if one.verdict is not None})
    boards = sorted({" ".join(filter(None, (one.recipe.bsp, one.recipe.soc))) for one in checked} - {""})
    count = sum(one.state == "not fetched" for one in checked)
    missing = f"{count} {'demo has' if count == 1 else 'demos have'} missing files." if count else ""
    return render(
        "check", when=when or datetime.now(timezone.utc), title="Board test report",
        facts=[("board", ", ".join(boards)), ("Arm NN", ", ".join(versions)), ("folder", str(out.absolute()))],
        totals=totals(checked) or "no test was checked", missing=missing, commands=commands,
        checks=[_check(one, out, origin) for one in ranked],
    )  # fmt: skip


def _check(one: Checked, out: Path, origin: Origin) -> dict[str, object]:
    """Return the values of the template for one demo."""
    verdict = one.verdict
    absent = one.state == "not fetched"
    differs = any(proof.outcome == "differs" for proof in one.proofs)
    brief = ""
    if verdict is not None and not absent and not (brief := verdict.why):
        got = [label(verdict.test.names, case.got) for case in verdict.cases if case.got is not None]
        brief = ", ".join(got[:_ANSWERS]) + (f" and {len(got) - _ANSWERS} more" if len(got) > _ANSWERS else "")
    # A test that the board lacks says so by its state.
    reason = one.reason if verdict is None and one.reason != one.word else ""
    facts: dict[str, object] = {
        "demo": one.recipe.demo,
        "summary": one.recipe.summary,
        "colour": _COLOURS.get(one.state, "later"),
        "word": "nothing to judge" if one.state == "nothing" else one.word,
        "folded": one.state not in ("fails", "unknown") and not differs,
        "reason": reason,
        "brief": brief or reason,
        **dict.fromkeys(("command", "hint", "message", "notes", "cases", "rules"), ""),
        "files": _files(one, out, origin),
        "proofs": [
            {"colour": _PROOF[proof.outcome], "step": step, "text": text}
            for proof in one.proofs
            for step, _, text in [str(proof).partition(": ")]
        ],
    }
    return facts if verdict is None else facts | _verdict(one, verdict)


def _verdict(one: Checked, verdict: Verdict) -> dict[str, object]:
    ends = f", exit status {verdict.exit_status}" if verdict.exit_status else ""
    # Only those that keep the network's input: -i 10000 would make the page too large.
    shown = [case for case in verdict.cases if case.seen is not None] or list(verdict.cases[:1])
    about = []
    if rest := len(verdict.cases) - len(shown):
        wrong = sum(not case.passes for case in verdict.cases)
        about.append(f"{rest} more cases were run; {wrong} of all {len(verdict.cases)} fail.")
    fed = [case.seen for case in verdict.cases if case.seen is not None]
    if fed and all(values.dtype.kind == "u" and values.min() >= _MIDDLE for values in fed):
        version = verdict.test.version
        about.append(f"Arm NN {version} feeds this network only bytes from 128 up, so its input looks pale.")
    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    for found in verdict.findings:
        groups.setdefault((found.rule, found.effect, found.prints, found.mend), []).append(found)
    command, hint = verdict.command, verdict.hint
    return {
        "message": verdict.message,
        "said_by": f"Output on the board{ends}" if verdict.outcome == "fails" else "Not run",
        "command": command,
        "hint": hint.removesuffix(command).rstrip(": ") if command and hint.endswith(command) else hint,
        "notes": verdict.warnings,
        "runtime": verdict.runtime,
        "kind": "cases" if verdict.test.cases else "cases records",
        "cases": [_case(one, verdict, case) for case in shown],
        "about_cases": about,
        "model": verdict.test.model,
        "rules": [_rule(one, verdict, group) for group in groups.values()],
    }


def _case(one: Checked, verdict: Verdict, case: Judged) -> dict[str, object]:
    listing, pictures = verdict.test.names, []
    drawn = [] if case.asked is None else [("asked", "wanted", case.asked)]
    drawn += [("found", "best found", box) for box in case.found[:1] if drawn]
    if verdict.test.cases and one.files is not None:
        pictures.append(_figure(_photograph(one.files.data / case.file), case.file))
    if case.seen is not None:
        pixels = thumbnails.as_picture(case.seen, preprocessing(verdict.test))
        size = f"{pixels.shape[1]} \N{MULTIPLICATION SIGN} {pixels.shape[0]}"
        caption = f"input of the network, {size}" if verdict.test.cases else f"record {case.id}, {size}"
        pictures.append(_figure(pixels, caption, [_placed(kind, box) for kind, _, box in drawn]))
    got = "nothing found" if case.got is None else label(listing, case.got)
    line = f"{got}; with -i no class is compared"
    if case.wanted is not None:
        line = f"{got}, as expected" if case.passes else f"{got}, expected {label(listing, case.wanted)}"
    best = max((score for _, score in case.top), default=0.0)
    return {
        "id": case.id,
        "line": line,
        "passes": case.passes,
        "pictures": [picture for picture in pictures if picture],
        "bars": [
            {
                "name": label(listing, number),
                # The length of the bar: its fraction of the best score; logits may be negative.
                "share": f"{max(0.0, min(1.0, score / best)) if best > 0 else 0.0:.1%}",
                "score": f"{score:.4g}",
                "first": number == case.got,
                "wanted": number == case.wanted,
            }
            for number, score in case.top
        ],
        "legend": [
            (kind, f"{words}: {box.score:.4g} at ({', '.join(f'{value:.4g}' for value in box.box)})")
            for kind, words, box in drawn
        ],
    }


def _placed(kind: str, box: Detection) -> tuple[str, ...]:
    """Return a box as fractions of the picture's sides: its kind, left, top, width, height."""
    left, top, right, bottom = box.corners()
    return kind, f"{left:.4f}", f"{top:.4f}", f"{right - left:.4f}", f"{bottom - top:.4f}"


def _photograph(path: Path) -> Array | None:
    from modelprep.formats.picture import decode

    try:
        return thumbnails.thumbnail(decode.read(path, exact=False).three_channels(), _THUMBNAIL)
    except (StepError, OSError):
        return None


def _figure(pixels: Array | None, caption: str, boxes: Sequence[tuple[str, ...]] = ()) -> dict[str, object]:
    """Return a picture with its caption and the boxes drawn over it; empty if there is no picture."""
    if pixels is None:
        return {}
    data = f"data:image/png;base64,{base64.b64encode(png.encode(pixels)).decode()}"
    return {"data": data, "caption": caption, "tiny": max(pixels.shape[:2]) < _TINY, "boxes": boxes}


def _rule(one: Checked, verdict: Verdict, found: list[Finding]) -> dict[str, object]:
    """Return one rule with the places that break it."""
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
        "assets": [_asset(asset, origin) for asset in file.provenance.assets],
        "steps": ", then ".join(f"{used.step} (version {used.version})" for used in file.provenance.steps),
    }


def _asset(asset: AssetUsed, origin: Origin) -> dict[str, str]:
    source, came = asset.source, (origin(asset.sha256) if asset.canonical_url else None) or ""
    own = "a file of the user\N{RIGHT SINGLE QUOTATION MARK}s own" + (f" ({source})" if source else "")
    return {
        "source": source if source.startswith(("http://", "https://")) else own,
        "delivered": "" if came == source else came,
        "licence": (asset.licence or "no licence is stated") + ", do not redistribute" * asset.restricted,
        "sha256": asset.sha256,
    }
