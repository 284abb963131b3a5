"""Licence classes: what an asset's stated licence means for shipping a product.

A recipe states a licence as an SPDX expression or as a phrase. The table contains SPDX ids and the phrases of the
shipped recipes; any other phrase is classified only by an explicit ban (non-commercial use, all rights reserved),
everything else is ``unknown`` and never assumed to be permissive. A class helps with sorting and is not legal advice.

Sources: the SPDX licence list for ids; the licence texts for their conditions.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, get_args

from modelprep.patterns import pattern
from modelprep.recipe.schema import Asset, Recipe

LicenceClass = Literal["permissive", "non-commercial", "restricted", "unknown"]

#: Every class with its meaning, for help texts and documents.
MEANINGS: dict[LicenceClass, str] = {
    "permissive": "commercial use and redistribution are allowed; at most a notice is required",
    "non-commercial": "no commercial use, or academic and research use only",
    "restricted": "redistribution has conditions (copyleft, share-alike, no derivatives, use limits) or is not allowed",
    "unknown": "no licence is stated, or its text is not recognized",
}
CLASSES: tuple[LicenceClass, ...] = get_args(LicenceClass)

#: The first matching one counts.
_STRICTEST: tuple[LicenceClass, ...] = ("non-commercial", "restricted", "unknown", "permissive")

#: SPDX ids by pattern, as normalized by ``_id``.
_IDS: dict[LicenceClass, str] = {
    "non-commercial": r"cc-by-nc(-sa|-nd)?-\d\.\d(-\w+)?|polyform-noncommercial-1\.0\.0",
    "restricted": r"cc-by-(sa|nd)-\d\.\d(-\w+)?|cdla-sharing-1\.0|odbl-1\.0|(mpl|epl|cddl|eupl|osl|cpl)-\d\.\d"
    r"|(a|l)?gpl-\d(\.\d)?(\+|-only|-or-later)?|(creativeml|bigscience)-(bloom-)?(open)?rail(\+*-?m)?(-\d\.\d)?",
    "permissive": r"apache-(1\.[01]|2\.0)|mit(-0)?|isc|zlib|libpng(-2\.0)?|bsl-1\.0|ijg|hpnd|ncsa|python-2\.0|psf-2\.0"
    r"|0bsd|bsd-[1234]-clause(-patent|-clear)?|unlicense|wtfpl|ms-pl|afl-\d\.\d|upl-1\.0|artistic-2\.0"
    r"|cc0-1\.0|cc-by-\d\.\d(-\w+)?|pddl-1\.0|odc-by-1\.0|cdla-permissive-[12]\.0|public-domain",
}

#: Permissive phrases of the shipped recipes. Phrases of unknown class need no entry.
_PERMISSIVE = frozenset({
    "apache-2.0 tree; photo us navy, public domain",
    "apache-2.0 tree; public-domain photo",
    "bsd-2-clause repo",
    "darknet licence",  # the file says "do whatever you want with it"
    "darknet licence (public-domain style); coco-trained",
    "mit / apache-2.0",
    "mit at the time, apache-2.0 later",
    "unrestricted",  # wording of the model zoo's readme
})  # fmt: skip

_NON_COMMERCIAL = pattern(
    r"\bnon-?\s?commercial|\b(academic|research|educational|personal)( \w+){0,4} only\b|\bcc[ -]by-nc\b", re.IGNORECASE
)
_RESERVED = pattern(r"\ball rights reserved\b|\bproprietary\b|\bno redistribution\b", re.IGNORECASE)


@lru_cache(maxsize=256)
def licence_class(name: str) -> LicenceClass:
    """Return the class of a stated licence: an SPDX expression or a phrase, empty if nothing is stated.

    ``MIT OR GPL-2.0-only`` has the class of the milder side, ``AND`` of the stricter one; spaces in an id are accepted.
    """
    text = " ".join(name.split())
    if found := "permissive" if text.lower() in _PERMISSIVE else _expression(text):
        return found
    if _NON_COMMERCIAL.search(text):
        return "non-commercial"
    return "restricted" if _RESERVED.search(text) else "unknown"


def classes_of(asset: Asset) -> tuple[LicenceClass, ...]:
    """Return the classes of an asset, the one to show first.

    More than one if a recipe has ``restricted: true`` for a file whose licence is of another class: a photo for
    non-commercial research may not be redistributed either.
    """
    stated = licence_class(asset.licence.name if asset.licence else "")
    found = {stated} | ({"restricted"} if asset.restricted else set())
    if asset.restricted:
        found -= {"permissive", "unknown"}
    return tuple(klass for klass in _STRICTEST if klass in found)


def demo_classes(recipe: Recipe) -> tuple[LicenceClass, ...]:
    """Return the classes of all assets of a recipe, the strictest first; empty for a recipe without assets."""
    found = {klass for asset in recipe.assets.values() for klass in classes_of(asset)}
    return tuple(klass for klass in _STRICTEST if klass in found)


def _expression(text: str) -> LicenceClass | None:
    """Evaluate an SPDX expression; None if the text is not one, or contains an unknown id."""
    sides = []
    for alternative in re.split(r"\s+OR\s+", text.replace("(", " ").replace(")", " ").strip()) if _flat(text) else ():
        parts = [_id(part) for part in re.split(r"\s+AND\s+", alternative)]
        if None in parts:
            return None
        sides.append(min((part for part in parts if part), key=_STRICTEST.index))
    return max(sides, key=_STRICTEST.index, default=None)


def _flat(text: str) -> bool:
    """Whether the text has no brackets, or one pair around all of it; nested expressions are unknown."""
    inner = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    return "(" not in inner and ")" not in inner


def _id(text: str) -> LicenceClass | None:
    plain = re.sub(r"\s+WITH\s+\S+$", "", text.strip())
    spelt = re.sub(r"\s+", "-", plain)
    return next((klass for klass, pattern in _IDS.items() if re.fullmatch(pattern, spelt, re.IGNORECASE)), None)
