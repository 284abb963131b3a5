"""The report for people: one HTML file that needs nothing else, readable on a phone, in light and dark.

Names of layers, tensors, files and recipes come from outside; everything is escaped on its way in, and the page's own
policy lets a browser load nothing at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep import __version__
from modelprep.check import png, seen
from modelprep.check.demos import Checked
from modelprep.check.findings import Finding
from modelprep.check.verdict import Judged, Verdict, preprocessing
from modelprep.errors import StepError, StorageError
from modelprep.store.disk import write_atomic
from modelprep.targets.armnn_rules import rules
from modelprep.targets.class_names import label
from modelprep.tree.manifest import InstalledFile, Manifest, read_manifest
from modelprep.tree.places import tree_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORDS = {"passes": "will pass", "fails": "will fail", "unknown": "not known", "nothing": "nothing to judge"}
#: Pixels of the longer side of an embedded photograph.
_THUMBNAIL = 320
#: Below this many pixels a side a browser is told not to blur.
_TINY = 64


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
    style = resources.files("modelprep.check").joinpath("page.css").read_text("utf-8")
    counts = {outcome: sum(_outcome(one) == outcome for one in checked) for outcome in WORDS}
    summed = ", ".join(f"{count} {WORDS[outcome]}" for outcome, count in counts.items() if count)
    versions = sorted({one.verdict.test.version for one in checked if one.verdict is not None})
    index = "".join(
        f'<li><a href="#t{number}">{escape(one.recipe.demo)}</a>{_badge(one)}</li>'
        for number, one in enumerate(checked)
    )
    cards = "".join(_card(number, one, out) for number, one in enumerate(checked))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        f'<meta name="generator" content="modelprep {escape(__version__)}">'
        f"<title>Board tests: {escape(summed or 'none')}</title><style>\n{style}</style></head><body><main>"
        f"<h1>What the board&rsquo;s tests will say</h1><p class=soft>{escape(summed or 'no test was looked at')}"
        + (f", by Arm NN {escape(', '.join(versions))}" if versions else "")
        + f"</p><div class=card><ul class=index>{index}</ul></div>{cards}</main></body></html>\n"
    )


def _outcome(one: Checked) -> str:
    return one.verdict.outcome if one.verdict is not None else "nothing"


def _badge(one: Checked) -> str:
    outcome = _outcome(one)
    return f'<span class="verdict {outcome}">{WORDS[outcome]}</span>'


def _card(number: int, one: Checked, out: Path) -> str:
    recipe, verdict = one.recipe, one.verdict
    body = "".join(_verdict(one, verdict)) if verdict is not None else f"<p class=soft>{escape(one.reason)}</p>"
    return (
        f'<section class=card id="t{number}"><div class=head><h2>{escape(recipe.demo)}</h2>{_badge(one)}</div>'
        f"<p class=soft>{escape(recipe.summary)}</p>{body}{''.join(_files(one, out))}</section>"
    )


def _verdict(one: Checked, verdict: Verdict) -> Iterator[str]:
    if verdict.message:
        yield f"<div class=says>{escape(verdict.message)}</div>"
    if verdict.hint:
        yield f"<p>Next: {escape(verdict.hint)}</p>"
    for text in verdict.warnings:
        yield f"<p class=soft>Note: {escape(text)}</p>"
    if verdict.cases:
        kind = "cases" if verdict.test.cases else "cases records"
        yield f"<h3>Cases, run by {escape(verdict.runtime)}</h3><div class='{kind}'>"
        for case in verdict.cases:
            yield _case(one, verdict, case)
        yield "</div>"
    if verdict.findings:
        yield f"<h3>What the parser makes of {escape(verdict.test.model)}</h3><ul class=list>"
        yield from map(_finding, verdict.findings)
        yield "</ul>"
    if one.proofs:
        yield "<h3>Conversions, before against after on seeded inputs</h3><ul class=list>"
        for proof in one.proofs:
            yield f"<li>{escape(str(proof))}</li>"
        yield "</ul>"


def _case(one: Checked, verdict: Verdict, case: Judged) -> str:
    listing = verdict.test.names
    pictures = []
    if verdict.test.cases and one.files is not None:
        pictures.append(_figure(_photograph(one.files.data / case.file), case.file))
    if case.seen is not None:
        how = preprocessing(verdict.test)
        caption = "what the network sees" if verdict.test.cases else f"record {case.id}"
        pictures.append(_figure(seen.as_picture(case.seen, how), caption, _outlines(case)))
    got = "nothing found" if case.got is None else label(listing, case.got)
    if case.wanted is None:
        line = f"{got}; with -i no class is compared"
    elif case.passes:
        line = f"{got}, as wanted"
    else:
        line = f"{got}, wanted {label(listing, case.wanted)}"
    best = max((score for _, score in case.top), default=0.0)
    bars = "".join(_bar(listing, number, score, best, number == case.got) for number, score in case.top)
    colour = "" if case.passes else " class=reject"
    return (
        f"<div class=case><div class=pictures>{''.join(pictures)}</div><div>"
        f"<strong{colour}>Case {case.id}: {escape(line)}</strong><ol class=top>{bars}</ol>{_legend(case)}</div></div>"
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


def _bar(listing: str, number: int, score: float, best: float, first: bool) -> str:
    # As long as its share of the best; scores that are no probabilities (logits) may be negative, and get none.
    share = max(0.0, min(1.0, score / best)) if best > 0 else 0.0
    return (
        f"<li{' class=first' if first else ''}><span class=bar style='width:{share:.1%}'></span>"
        f"<span>{escape(label(listing, number))}</span><span class=score>{score:.4g}</span></li>"
    )


def _photograph(path: Path) -> NDArray[np.uint8] | None:
    from modelprep.formats import picture

    try:
        return seen.thumbnail(picture.read(path).three_channels(), _THUMBNAIL)
    except (StepError, OSError):
        return None


def _figure(pixels: NDArray[np.uint8] | None, caption: str, drawn: str = "") -> str:
    if pixels is None:
        return ""
    data = base64.b64encode(png.encode(pixels)).decode()
    tiny = " class=tiny" if max(pixels.shape[:2]) < _TINY else ""
    return (
        f'<figure><div class=shown><img{tiny} alt="{escape(caption)}" src="data:image/png;base64,{data}">{drawn}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _finding(found: Finding) -> str:
    says = f"; the board prints <code>{escape(found.prints)}</code>" if found.prints and found.serious else ""
    mend = f"; mend it with <code>{escape(found.mend)}</code>" if found.mend else ""
    detail = f" ({escape(found.detail)})" if found.detail else ""
    return (
        f'<li><span class="effect {found.effect}">{escape(found.rule)} {found.effect}</span> {escape(found.where)}: '
        f"{escape(rules()[found.rule].says)}{detail}{says}{mend}</li>"
    )


def _files(one: Checked, out: Path) -> Iterator[str]:
    try:
        manifest = read_manifest(out / tree_name(one.recipe))
    except StorageError:
        manifest = Manifest()
    files = [manifest.files[path] for path in one.recipe.install if path in manifest.files]
    if not files:
        return
    yield f"<details><summary>Where its {len(files)} files come from</summary><ul class=list>"
    yield from (_file(file, out / tree_name(one.recipe)) for file in files)
    yield "</ul></details>"


def _now(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _file(file: InstalledFile, tree: Path) -> str:
    lines = [
        f"<strong>{escape(file.path)}</strong>, {file.size:,} bytes",
        f"<code class=sum>sha256 {escape(file.sha256)}</code>",
    ]
    try:
        same = _now(tree / file.path) == file.sha256
    except OSError:
        same = False
    if not same:
        lines.append('<span class="effect reject">what lies there now is another file, or none</span>')
    for asset in file.provenance.assets:
        licence = f", licence {escape(asset.licence)}" if asset.licence else ", no licence is stated"
        lines.append(f"from {_link(asset.source)}{licence}{', not to be passed on' if asset.restricted else ''}")
        if asset.sha256 != file.sha256:
            lines.append(f"<code class=sum>sha256 {escape(asset.sha256)}</code>")
    if file.provenance.steps:
        lines.append("by " + ", then ".join(escape(f"{s.step} {s.version}") for s in file.provenance.steps))
    return f"<li>{'<br>'.join(lines)}</li>"


def _link(source: str) -> str:
    if source.startswith(("http://", "https://")):
        return f'<a rel="noreferrer" href="{escape(source)}">{escape(source)}</a>'
    return escape(source) or "a file of the user&rsquo;s own"
