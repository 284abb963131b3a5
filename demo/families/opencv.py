"""OpenCV samples: forty digits, twenty zeros and twenty ones, for the logistic regression."""

from __future__ import annotations

from demo import digits
from demo.families import Made


def make() -> list[Made]:
    """Make ``data01.xml``."""
    labels = [0] * 20 + [1] * 20
    rows = digits.draw(labels, "logistic").reshape(40, -1)
    numbers = "\n".join("    " + " ".join(str(value) for value in row) for row in rows.tolist())
    return [
        Made(
            "opencv-data01",
            (
                '<?xml version="1.0"?>\n<opencv_storage>\n<datamat type_id="opencv-matrix">\n'
                f"  <rows>40</rows>\n  <cols>{digits.SIDE**2}</cols>\n  <dt>f</dt>\n  <data>\n{numbers}\n</data>\n"
                '</datamat>\n<labelsmat type_id="opencv-matrix">\n    <rows>40</rows>\n    <cols>1</cols>\n'
                f"    <dt>d</dt>\n    <data>\n        {' '.join(map(str, labels))}\n    </data>\n"
                "</labelsmat>\n</opencv_storage>\n"
            ).encode(),
        )
    ]
