"""Licence classes: SPDX ids and expressions by table, phrases by an explicit ban only, everything else unknown."""

from __future__ import annotations

import pytest

from modelprep.recipe.catalogue import Catalogue, shipped_folder
from modelprep.recipe.licences import CLASSES, MEANINGS, classes_of, licence_class
from modelprep.recipe.schema import Asset, Licence


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MIT", "permissive"),
        ("apache-2.0", "permissive"),
        ("Apache 2.0", "permissive"),
        ("BSD 3-Clause", "permissive"),
        ("CC BY 4.0", "permissive"),
        ("CC0-1.0", "permissive"),
        ("public domain", "permissive"),
        ("CC BY-NC 4.0", "non-commercial"),
        ("CC-BY-NC-SA-4.0", "non-commercial"),
        ("CC BY-SA 3.0", "restricted"),
        ("CC-BY-ND-4.0", "restricted"),
        ("AGPL-3.0-only", "restricted"),
        ("LGPL-2.1+", "restricted"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "restricted"),
        ("CreativeML-OpenRAIL-M", "restricted"),
        ("MIT OR GPL-2.0-only", "permissive"),
        ("MIT AND GPL-2.0-only", "restricted"),
        ("(MIT OR Apache-2.0)", "permissive"),
        ("CC-BY-NC-4.0 AND GPL-3.0-only", "non-commercial"),
        ("MIT AND LicenseRef-mine", "unknown"),
        ("LicenseRef-mine", "unknown"),
        ("", "unknown"),
        ("none stated", "unknown"),
        ("academic use only", "non-commercial"),
        ("for research purposes only", "non-commercial"),
        ("MIT for the code, weights for non-commercial use", "non-commercial"),
        ("(c) 2005 A. Photographer, all rights reserved", "restricted"),
        ("MIT, they say", "unknown"),
        ("Apache-2.0 except for the weights", "unknown"),
        ("unverified: CC0 at that date", "unknown"),
    ],
)
def test_a_licence_has_the_class_of_its_text(name: str, expected: str) -> None:
    assert licence_class(name) == expected


def test_a_file_that_may_not_be_passed_on_is_restricted_whatever_its_licence() -> None:
    assert classes_of(Asset("a", restricted=True, licence=Licence("MIT"))) == ("restricted",)
    assert classes_of(Asset("a", restricted=True)) == ("restricted",)
    assert classes_of(Asset("a", restricted=True, licence=Licence("CC BY-NC 4.0"))) == ("non-commercial", "restricted")
    assert classes_of(Asset("a")) == ("unknown",)


def test_every_class_has_a_meaning() -> None:
    assert set(MEANINGS) == set(CLASSES)


#: Licences of shipped assets that nobody can put into a class; a new phrase goes here or into the table, on purpose.
UNKNOWN = {
    "",
    "Arm tutorial download, terms on the site; the weights are bvlc_alexnet (unrestricted)",
    "BSD-2-Clause (Caffe fork); model by an OpenCV GSoC 2017 student",
    "BSD-2-Clause / OpenCV test data",
    "CC BY-SA 3.0, Alvesgaspar (unverified)",
    "OpenCV sample data",
    "OpenCV test data",
    "OpenCV test data (NASA photo)",
    "OpenCV test data (US Navy portrait, public domain)",
    "OpenCV test data (derived from darknet data/dog.jpg)",
    "OpenCV tutorial data",
    "Pixabay (unverified: CC0 at that date)",
    "as BVLC model zoo (VGG-derived, FCN by Shelhamer/Long)",
    "darknet (public-domain style licence file); photo origin not stated",
    "none stated",
    "none stated; the page asks for citation",
    "unknown",
    "weights from the MXNet gallery, no licence stated; the converter is GPL",
    "weights without their own licence; argman/EAST is GPL-3.0 code",
    "yours",
}


def test_the_shipped_recipes_have_no_licence_that_fell_through_the_table() -> None:
    catalogue = Catalogue([shipped_folder()])
    found = {asset.licence.name if asset.licence else "" for asset in catalogue.shared.values()}
    for name in catalogue.names():
        recipe = catalogue.recipe(name)
        for asset in recipe.assets.values():
            found.add(asset.licence.name if asset.licence else "")
    assert {name for name in found if licence_class(name) == "unknown"} <= UNKNOWN
