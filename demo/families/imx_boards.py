"""Demos of later i.MX boards: a small network under every model's name, and the files beside them."""

from __future__ import annotations

from demo import containers, pictures
from demo.families import Made
from demo.families.imagenet import model

_GOPOINT = (
    "mobilenet-v1-1-0-224-quant", "ssd-mobilenet-v2-face-quant-postprocess", "facenet-int-quantized",
    "face-landmark-ptq", "face-detection-ptq", "iris-landmark-ptq", "yolov4-tiny-smk-call", "selfie-segmenter-int8",
    "selfie-segmenter-landscape-int8", "pose-detection-quant", "pose-landmark-lite-quant",
    "mobilenet-v1-1-0-224-quant-uint8-float32", "ssdlite-mobilenet-v2-coco-quant-uint8-float32-no-postprocess",
    "movenet-quant", "ssd-mobilenet-v2-coco-quant-postprocess", "6.1-posenet", "6.1-brand-model",
)  # fmt: skip
_FLOATS = ("mobilenet-v1-1-0-224", "ssdlite-mobilenet-v2-coco-no-postprocess", "movenet-single-pose-lightning")
_TEXTS = (
    "coco-labels", "anchors", "pose-embeddings", "box-priors", "coco-labels-list", "6.1-imagenet-labels",
    "6.1-key-point-labels", "6.1-brand-labels",
)  # fmt: skip
_OTHERS = (
    "id-example", "detect-example", "pose-example", "lp-baby-detection", "lp-kws-detection",
    "conditioning-drill-1-power-jump-webm-480p-vp9",
)  # fmt: skip
_PICTURES = (
    "imx8mp-dms-info", "imx93-dms-info", "background", "background-landscape", "6.1-background",
    "6.1-background-landscape",
)  # fmt: skip
_PYEIQ = (
    "v2-emotions-detection", "v2-face-and-eyes-detection", "v2-fire-classification", "v2-image-classification",
    "v2-object-detection", "v2-object-detection-image", "v2-object-detection-yolov3", "v2-posenet-model",
    "v2-switch-label-image", "v2-video-switch-corev2", "v3-object-classification-tflite", "v3-object-detection",
    "v3-object-detection-covid19", "v3-video-switch-core2",
)  # fmt: skip
_EIQ = ("eiq-yoloface", "eiq-facenet-512", "eiq-ssd-mobilenet-v1")
_ZOO = ("zoo-movenet", "zoo-ultraface-slim", "zoo-facenet512", "zoo-deepface-emotion")


def make() -> list[Made]:
    """Make all of them."""
    quantised, floats = model("output"), model("output", floats=True)
    made = [Made(f"gopoint-{name}", quantised) for name in _GOPOINT]
    made += [Made(f"gopoint-{name}", floats) for name in _FLOATS]
    made += [Made(f"gopoint-{name}", f"stand-in {name}\n".encode()) for name in _TEXTS]
    made += [Made(f"gopoint-{name}", b"\x7fELF stand-in " + name.encode() * 8) for name in _OTHERS]
    made += [Made(f"gopoint-{name}", pictures.jpeg(64, 40, pictures.scene(20))) for name in _PICTURES]
    made += [Made(name, quantised) for name in (*_EIQ, *_ZOO)]
    made += [Made(f"pyeiq-{name}", containers.zipped({f"model/{name}.tflite": quantised})) for name in _PYEIQ]
    return [*made, *_archives(quantised)]


def _archives(network: bytes) -> list[Made]:
    inner = containers.tar_gz({"saved_model_64x64/model_integer_quant.tflite": network})
    members = {
        "gesture-models": {
            "palm_detection_builtin_256_integer_quant.tflite": network,
            "hand_landmark_3d_256_integer_quant.tflite": network,
        },
        "dms-face-detection": {"face_detection_front_128_full_integer_quant.tflite": network},
        "dms-face-landmark": {"face_landmark_192_integer_quant.tflite": network},
        "dms-iris-landmark": {"20_new_20211209/resources.tar.gz": inner},
    }
    return [Made(f"eiq-{name}", containers.tar_gz(files)) for name, files in members.items()]
