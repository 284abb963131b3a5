"""The keys under ``expect:``: check settings, the expected results of a demo.

An unknown key is an error: with a typo the comparison would be skipped, and the check would pass.
"""

from __future__ import annotations

from modelprep.recipe.scalars import Bool, Choice, Int, Number, Text
from modelprep.recipe.shapes import Field, ListOf, MapOf, Struct
from modelprep.recipe.text import PATH_PATTERN, path_fault, up_to_odd

_NAME = Text("a tensor's name")
_WHERE = Text("a relative path, or a record's number", PATH_PATTERN, path_fault, shown=up_to_odd)
_FILE = Text("a relative path with / between its parts", PATH_PATTERN, path_fault, shown=up_to_odd)
_CLASS = Int("a class, a whole number")
_PERCENT = Number("a number of percent", most=100.0)
_CONFIDENCE = Number("a confidence", least=-1e9, most=1e9)
_PIXELS = Number("a number of pixels", least=-1e9, most=1e9)
_SIZE = ListOf(Int("a number of pixels", least=1, most=65_535), "two numbers: [height, width]", least=2, most=2)
_THREE = ListOf(Number("a number", least=-1e6, most=1e6), "three numbers: R, G, B", least=3, most=3)

PARSERS = ("caffe", "onnx", "opencv", "tensorflow", "tf", "tflite")
RUNTIMES = ("arm-compute-library", "armnn", "onnxruntime", "opencv", "tensorflow", "tflite")
DTYPES = ("float32", "float16", "uint8", "int8", "int16", "int32", "int64", "bool")
#: Kinds of preprocessing: see :class:`modelprep.check.board.preprocess.Preprocessing`.
PREPROCESSING = ("caffe", "image", "mnist", "cifar10", "yolo", "ssd")
#: Lists of class names: see :mod:`modelprep.targets.class_names`.
CLASS_NAMES = (
    "imagenet_1000_zero_based", "imagenet_1001_background_first", "inception21k_zero_based", "coco90_zero_based",
    "voc20_zero_based", "cifar10",
)  # fmt: skip

_INPUT = Struct(
    "an input",
    (
        Field("name", _NAME, "the tensor's name", required=True),
        Field("dtype", Choice(DTYPES), "the type of its elements"),
        Field(
            "shape",
            ListOf(Int("a dimension, 0 or more", most=2**31 - 1), "a list of dimensions", least=1, most=8),
            "its dimensions",
        ),
    ),
)
_PREPROCESS = Struct(
    "a preprocessing",
    (
        Field("kind", Choice(PREPROCESSING), "how the program makes its input", required=True),
        Field("size", _SIZE, "[height, width] of the input in pixels"),
        Field("layout", Choice(("NHWC", "NCHW")), "order of the dimensions"),
        Field("mean", _THREE, "subtracted from each channel R, G, B after the division by 255"),
        Field("stddev", _THREE, "what each channel R, G, B is divided by after that"),
        Field("scale", Bool(), "whether values are divided by 255 (kind: mnist)"),
        Field("raw_bytes", Bool(), "whether a quantized input gets the bytes as they are (Arm NN 19.05 and later)"),
        Field("centred", Bool(), "whether the input is pixel/127.5 - 0.5"),
    ),
)
_DETECTION = Struct(
    "a detection",
    (
        Field("label", _CLASS, "the class"),
        Field("box_corners", ListOf(_PIXELS, "four numbers", least=4, most=4), "y0, x0, y1, x1"),
        Field("confidence", _CONFIDENCE, "its score"),
        Field("count", Int("a number of detections"), "how many there must be"),
        Field("tolerance_percent", _PERCENT, "largest difference allowed"),
    ),
)
_BEST = Struct(
    "a best detection",
    (
        Field("class", _CLASS, "the class"),
        Field("centre", ListOf(_PIXELS, "two numbers", least=2, most=2), "x, y in pixels"),
        Field("size", ListOf(_PIXELS, "two numbers", least=2, most=2), "width, height in pixels"),
        Field("confidence", _CONFIDENCE, "its score"),
        Field("tolerance_percent", _PERCENT, "largest difference allowed"),
    ),
)

EXPECT = Struct(
    "expect",
    (
        Field("parser", Choice(PARSERS), "the parser that reads the model: its rules apply"),
        Field("armnn", Text("an Arm NN version", numbers=True), 'the version: "19.02"'),
        Field("runtime", Choice(RUNTIMES), "what runs the model on the board, where that is not Arm NN"),
        Field("model", _FILE, "the model, as a path in the tree"),
        Field("config", _FILE, "a second file of the model (prototxt, cfg), as a path in the tree"),
        Field("format", Choice(("binary", "text")), "form of a protobuf model"),
        Field("input", _INPUT, "the input that the program binds"),
        Field("output", _NAME, "the output that the program reads"),
        Field("outputs", ListOf(_NAME, "a list of names", least=1, most=100), "the outputs, where there are several"),
        Field("preprocess", _PREPROCESS, "how the program makes its input"),
        Field("names", Choice(CLASS_NAMES), "list of class names for the labels"),
        Field("labels", MapOf(_WHERE, _CLASS), "picture (or record) -> the class that the program must find"),
        Field("detections", MapOf(_FILE, _DETECTION), "picture -> what the program must find in it"),
        Field("best", _BEST, "the best detection"),
        Field("test_sets", Int("a number of test sets"), "how many test sets must succeed"),
    ),
)
