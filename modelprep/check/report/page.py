"""The report for people: one HTML file that needs nothing else, readable on a phone, in light and dark.

Names of layers, tensors, files and recipes come from outside; everything is escaped on its way in, and the page's own
policy lets a browser load nothing at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.check.demos import Checked
from modelprep.check.lint.findings import Finding
from modelprep.check.report import png, thumbnails
from modelprep.check.types import Judged, Verdict
from modelprep.check.verdict import preprocessing
from modelprep.errors import StepError, StorageError
from modelprep.quoting import html, link
from modelprep.store.disk import write_atomic
from modelprep.targets.armnn_rules import rules
from modelprep.targets.class_names import label
from modelprep.tree.manifest import InstalledFile, Manifest, read_manifest
from modelprep.tree.places import tree_name
from modelprep.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORDS = {"passes": "will pass", "fails": "will fail", "unknown": "not known", "nothing": "nothing to judge"}
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


def write_page(path: Path, checked: Sequence[Checked], out: Path) -> None:
    """Write the report.

    Parameters
    ----------
    path
        The HTML file.
    checked
        What :func:`modelprep.check.demos.check` found.
    out
        The folder that holds the trees, for the provenance of their files.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    write_atomic(path, page(checked, out).encode())


def page(checked: Sequence[Checked], out: Path) -> str:
    """Give the report's text; see :func:`write_page`."""
    style = resources.files("modelprep.check.report").joinpath("page.css").read_text("utf-8")
    counts = {outcome: sum(_outcome(one) == outcome for one in checked) for outcome in WORDS}
    summed = ", ".join(f"{count} {WORDS[outcome]}" for outcome, count in counts.items() if count)
    versions = sorted({one.verdict.test.version for one in checked if one.verdict is not None})
    index = "".join(
        f'<li><div><a href="#t{number}">{html(one.recipe.demo)}</a>{_in_brief(one)}</div>{_badge(one)}</li>'
        for number, one in enumerate(checked)
    )
    cards = "".join(_card(number, one, out) for number, one in enumerate(checked))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        f'<meta name="generator" content="modelprep {html(__version__)}">'
        f"<title>Board tests: {html(summed or 'none')}</title><style>\n{style}</style></head><body><main>"
        f"<h1>What the board&rsquo;s tests will say</h1><p class=soft>{html(summed or 'no test was looked at')}"
        + (f", by Arm NN {html(', '.join(versions))}" if versions else "")
        + f"</p><div class=card><ul class=index>{index}</ul></div>{cards}</main></body></html>\n"
    )


def _outcome(one: Checked) -> str:
    return one.verdict.outcome if one.verdict is not None else "nothing"


def _badge(one: Checked) -> str:
    outcome = _outcome(one)
    return f'<span class="verdict {outcome}">{WORDS[outcome]}</span>'


def _in_brief(one: Checked) -> str:
    """Give what the board will print, or why there is nothing to say, for the list at the top."""
    verdict = one.verdict
    if verdict is not None and verdict.message:
        return f"<div class='brief said'>{html(verdict.message)}</div>"
    text = one.reason if verdict is None else _answers(verdict)
    return f"<div class=brief>{html(text)}</div>" if text else ""


def _answers(verdict: Verdict) -> str:
    listing = verdict.test.names
    got = [label(listing, case.got) for case in verdict.cases if case.got is not None]
    return ", ".join(got[:_ANSWERS]) + (f" and {len(got) - _ANSWERS} more" if len(got) > _ANSWERS else "")


def _card(number: int, one: Checked, out: Path) -> str:
    recipe, verdict = one.recipe, one.verdict
    body = "".join(_verdict(one, verdict)) if verdict is not None else f"<p class=soft>{html(one.reason)}</p>"
    return (
        f'<section class=card id="t{number}"><div class=head><h2>{html(recipe.demo)}</h2>{_badge(one)}</div>'
        f"<p class=soft>{html(recipe.summary)}</p>{body}{''.join(_files(one, out))}</section>"
    )


def _verdict(one: Checked, verdict: Verdict) -> Iterator[str]:
    if verdict.message:
        ends = f" and ends with status {verdict.exit_status}" if verdict.exit_status else ""
        words = f"The board prints{ends}" if verdict.outcome == "fails" else "Not run"
        yield f"<p class=lead>{words}</p><div class=says>{html(verdict.message)}</div>"
    if verdict.hint:
        yield f"<p>Next: {html(verdict.hint)}</p>"
    for text in verdict.warnings:
        yield f"<p class=soft>Note: {html(text)}</p>"
    if verdict.cases:
        kind = "cases" if verdict.test.cases else "cases records"
        yield f"<h3>Cases, run by {html(verdict.runtime)}</h3><div class='{kind}'>"
        # As many as keep what the network saw: the ten thousand records of -i 10000 would be no page any more.
        shown = [case for case in verdict.cases if case.seen is not None] or verdict.cases[:1]
        for case in shown:
            yield _case(one, verdict, case)
        yield "</div>"
        if rest := len(verdict.cases) - len(shown):
            wrong = sum(not case.passes for case in verdict.cases)
            yield f"<p class=soft>{rest} more cases were run; {wrong} of all {len(verdict.cases)} fail.</p>"
        if _is_pale(verdict):
            yield (
                f"<p class=soft>Arm NN {html(verdict.test.version)} feeds this network bytes from 128 up only; "
                "that is why what it sees looks pale.</p>"
            )
    if verdict.findings:
        yield f"<h3>What the parser makes of {html(verdict.test.model)}</h3><ul class=list>"
        groups: dict[tuple[str, str, str, str], list[Finding]] = {}
        for found in verdict.findings:
            groups.setdefault((found.rule, found.effect, found.prints, found.mend), []).append(found)
        yield from map(_rule, groups.values())
        yield "</ul>"
    if one.proofs:
        yield "<h3>Conversions, before against after on seeded inputs</h3><ul class=list>"
        for proof in one.proofs:
            step, _, text = str(proof).partition(": ")
            yield f"<li><span class='effect {_PROOF[proof.outcome]}'>{html(step)}</span> {html(text)}</li>"
        yield "</ul>"


def _is_pale(verdict: Verdict) -> bool:
    fed = [case.seen for case in verdict.cases if case.seen is not None]
    return bool(fed) and all(values.dtype.kind == "u" and values.min() >= _MIDDLE for values in fed)


def _case(one: Checked, verdict: Verdict, case: Judged) -> str:
    listing = verdict.test.names
    pictures = []
    if verdict.test.cases and one.files is not None:
        pictures.append(_figure(_photograph(one.files.data / case.file), html(case.file)))
    if case.seen is not None:
        how = preprocessing(verdict.test)
        pixels = thumbnails.as_picture(case.seen, how)
        size = f"{pixels.shape[1]} &times; {pixels.shape[0]}"
        caption = f"what the network sees, {size}" if verdict.test.cases else f"record {case.id}, {size}"
        pictures.append(_figure(pixels, caption, _outlines(case)))
    got = "nothing found" if case.got is None else label(listing, case.got)
    if case.wanted is None:
        line = f"{got}; with -i no class is compared"
    elif case.passes:
        line = f"{got}, as wanted"
    else:
        line = f"{got}, wanted {label(listing, case.wanted)}"
    best = max((score for _, score in case.top), default=0.0)
    bars = "".join(
        _bar(label(listing, number), score, best, first=number == case.got, wanted=number == case.wanted)
        for number, score in case.top
    )
    colour = "" if case.passes else " class=reject"
    return (
        f"<div class=case><div class=pictures>{''.join(pictures)}</div><div>"
        f"<strong{colour}>Case {case.id}: {html(line)}</strong><ol class=top>{bars}</ol>{_legend(case)}</div></div>"
    )


def _outlines(case: Judged) -> str:
    """Draw the box that a test wants and the best that was found over what the network sees."""
    if case.asked is None:
        return ""
    lines = [("asked", case.asked), *(("found", one) for one in case.found[:1])]
    drawn = "".join(
        f"<rect class={kind} x='{left:.4f}' y='{top:.4f}' width='{right - left:.4f}' height='{bottom - top:.4f}'/>"
        for kind, one in lines
        for left, top, right, bottom in [one.corners()]
    )
    return f"<svg viewBox='0 0 1 1' preserveAspectRatio='none' aria-hidden=true>{drawn}</svg>"


def _legend(case: Judged) -> str:
    if case.asked is None:
        return ""
    lines = [("asked", "wanted", case.asked), *(("found", "best found", one) for one in case.found[:1])]
    rows = "".join(
        f"<li><span class='key {kind}'></span>{words}: {one.score:.4g} at "
        f"({', '.join(f'{value:.4g}' for value in one.box)})</li>"
        for kind, words, one in lines
    )
    return f"<ul class=legend>{rows}</ul>"


def _bar(name: str, score: float, best: float, *, first: bool, wanted: bool) -> str:
    # As long as its share of the best; scores that are no probabilities (logits) may be negative, and get none.
    share = max(0.0, min(1.0, score / best)) if best > 0 else 0.0
    mark = " <b class=wanted>wanted</b>" if wanted else ""
    return (
        f"<li{' class=first' if first else ''}><span class=bar style='width:{share:.1%}'></span>"
        f"<span>{html(name)}{mark}</span><span class=score>{score:.4g}</span></li>"
    )


def _photograph(path: Path) -> NDArray[np.uint8] | None:
    from modelprep.formats.picture import decode

    try:
        return thumbnails.thumbnail(decode.read(path, exact=False).three_channels(), _THUMBNAIL)
    except (StepError, OSError):
        return None


def _figure(pixels: NDArray[np.uint8] | None, caption: str, drawn: str = "") -> str:
    """Give a picture with its caption, which is HTML, and what is drawn over it."""
    if pixels is None:
        return ""
    data = base64.b64encode(png.encode(pixels)).decode()
    tiny = " class=tiny" if max(pixels.shape[:2]) < _TINY else ""
    return (
        f'<figure><div class=shown><img{tiny} alt="{caption}" src="data:image/png;base64,{data}">{drawn}</div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _rule(found: list[Finding]) -> str:
    """Show one rule with every place that goes against it."""
    one = found[0]
    lines = [f'<span class="effect {one.effect}">{html(one.rule)} {one.effect}</span> {html(rules()[one.rule].says)}']
    if one.prints and one.serious:
        lines.append(f"The board prints <code>{html(one.prints)}</code>")
    if one.mend:
        lines.append(f"Mend it: <code>{html(one.mend)}</code>")
    places = [f"<li>{html(each.where)}{f' ({html(each.detail)})' if each.detail else ''}</li>" for each in found]
    if len(places) > _PLACES:
        places[_PLACES - 1 :] = [f"<li>and {len(found) - _PLACES + 1} more</li>"]
    return f"<li>{'<br>'.join(lines)}<ul class=places>{''.join(places)}</ul></li>"


def _files(one: Checked, out: Path) -> Iterator[str]:
    try:
        manifest = read_manifest(out / tree_name(one.recipe))
    except StorageError:
        manifest = Manifest()
    files = [file for file in manifest.files.values() if one.recipe.name in file.demos]
    if not files:
        return
    count = "file comes" if len(files) == 1 else f"{len(files)} files come"
    yield f"<details><summary>Where its {count} from</summary><ul class=list>"
    yield from (_file(file, out / tree_name(one.recipe)) for file in files)
    yield "</ul></details>"


def _now(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _file(file: InstalledFile, tree: Path) -> str:
    rows = [("size", f"{file.size:,} bytes"), ("sha256", f"<code>{html(file.sha256)}</code>")]
    try:
        same = _now(tree / file.path) == file.sha256
    except OSError:
        same = False
    if not same:
        rows.append(("now", '<span class="effect reject">what lies there now is another file, or none</span>'))
    for asset in file.provenance.assets:
        licence = html(asset.licence) if asset.licence else "no licence is stated"
        rows += [("source", _link(asset.source)), ("licence", licence + ", not to be passed on" * asset.restricted)]
        if asset.sha256 != file.sha256:
            rows.append(("its sha256", f"<code>{html(asset.sha256)}</code>"))
    if file.provenance.steps:
        steps = ", then ".join(f"{html(used.step)} (version {used.version})" for used in file.provenance.steps)
        rows.append(("steps", steps))
    table = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return f"<li><strong>{html(file.path)}</strong><dl>{table}</dl></li>"


def _link(source: str) -> str:
    if source.startswith(("http://", "https://")):
        return link(source)
    return "a file of the user&rsquo;s own" + (f" ({html(source)})" if source else "")
