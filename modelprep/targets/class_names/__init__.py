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
#: The ninety categories of COCO's papers; ten of them (street sign, hat, ...) have no pictures and are never found.
_COCO = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, street sign, "
    "stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, hat, "
    "backpack, umbrella, shoe, eye glasses, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, "
    "baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, plate, wine glass, cup, fork, knife, "
    "spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, "
    "potted plant, bed, mirror, dining table, window, desk, toilet, door, tv, laptop, mouse, remote, keyboard, cell "
    "phone, microwave, oven, toaster, sink, refrigerator, blender, book, clock, vase, scissors, teddy bear, hair "
    "drier, toothbrush"
)
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_SOME = {"inception21k_zero_based": {3694: "great white shark"}}


@cache
def names(listing: str) -> dict[int, str]:
    """Return class number -> name of a listing as :class:`~modelprep.targets.armnn_tests.BoardTest` names it.

    Of a list known in part (Inception 21k) only the classes that a test needs are there; an unknown listing is empty.
    """
    if listing.startswith("imagenet_"):
        text = resources.files(__name__).joinpath("imagenet.txt").read_text("utf-8")
        classes = [line for line in text.splitlines() if not line.startswith("#")]
        if listing == "imagenet_1001_background_first":
            classes.insert(0, "background")
        return dict(enumerate(classes))
    known = {"voc20_zero_based": _VOC.split(), "coco90_zero_based": _COCO.split(", "), "cifar10": _CIFAR10.split()}
    return dict(enumerate(known[listing])) if listing in known else _SOME.get(listing, {})


def label(listing: str, number: int) -> str:
    """Say a class for a person: ``tiger cat (283)``, or the bare number where no name is known."""
    name = names(listing).get(number)
    return f"{name} ({number})" if name else str(number)
