"""What the numbers of the classes mean, for messages and reports.

``imagenet_1000_zero_based`` counts as Caffe's models do; ``imagenet_1001_background_first`` is the same list behind a
class 0 for the background, as TensorFlow's models count.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

_VOC = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep "
    "sofa train tvmonitor"
)
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_SOME = {
    "inception21k_zero_based": {3694: "great white shark"},
    "coco90_zero_based": {16: "cat"},
}


@cache
def names(listing: str) -> dict[int, str]:
    """Give class number -> name of a listing as :class:`~modelprep.targets.armnn_tests.BoardTest` names it.

    Lists known in part (Inception 21k, COCO) give the classes that a test asks for; an unknown listing is empty.
    """
    if listing.startswith("imagenet_"):
        text = resources.files(__name__).joinpath("imagenet.txt").read_text("utf-8")
        classes = [line for line in text.splitlines() if not line.startswith("#")]
        if listing == "imagenet_1001_background_first":
            classes.insert(0, "background")
        return dict(enumerate(classes))
    if listing == "voc20_zero_based":
        return dict(enumerate(_VOC.split()))
    if listing == "cifar10":
        return dict(enumerate(_CIFAR10.split()))
    return _SOME.get(listing, {})


def label(listing: str, number: int) -> str:
    """Say a class for a person: ``tiger cat (283)``, or the bare number where no name is known."""
    name = names(listing).get(number)
    return f"{name} ({number})" if name else str(number)
