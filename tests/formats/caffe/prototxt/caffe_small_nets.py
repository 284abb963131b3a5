"""Small nets in text, each for one turn of the upgrades, the phase filter or the splits."""

# ruff: noqa: E501 - nets are easier to compare when a layer keeps to its line

from __future__ import annotations

INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 dim: 6 dim: 6 } } }\n'

NETS: dict[str, str] = {
    "nameless": INPUT,
    "legacy dims": 'name: "n" input: "data" input_dim: 1 input_dim: 2 input_dim: 5 input_dim: 5 '
    'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }',
    "legacy shapes, two inputs": 'input: "a" input: "b" input_shape { dim: 1 dim: 3 } input_shape { dim: 1 dim: 3 } '
    'layer { name: "e" type: "Eltwise" bottom: "a" bottom: "b" top: "e" }',
    "legacy shapes win over dims": 'input: "a" input_shape { dim: 2 dim: 7 } input_dim: 1 input_dim: 1 input_dim: 1 '
    'input_dim: 1 layer { name: "r" type: "ReLU" bottom: "a" top: "r" }',
    "legacy input read twice": 'input: "a" input_dim: [1, 2, 3, 4] layer { name: "r" type: "ReLU" bottom: "a" top: "r" } '
    'layer { name: "e" type: "Eltwise" bottom: "a" bottom: "r" top: "e" }',
    "input without dims is dropped": 'input: "ghost" '
    + INPUT
    + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }',
    "dims without input": "input_dim: 1 input_dim: 2 " + INPUT,
    "net fields are not saved": 'force_backward: true debug_info: false state { phase: TRAIN level: 3 stage: "s" } '
    + INPUT,
    "include and exclude": INPUT
    + 'layer { name: "train" type: "ReLU" bottom: "data" top: "t" include { phase: TRAIN } } '
    'layer { name: "test" type: "ReLU" bottom: "data" top: "t" include { phase: TEST } } '
    'layer { name: "not-test" type: "ReLU" bottom: "data" top: "u" exclude { phase: TEST } } '
    'layer { name: "not-train" type: "ReLU" bottom: "data" top: "v" exclude { phase: TRAIN } } '
    'layer { name: "either" type: "ReLU" bottom: "data" top: "w" include { phase: TRAIN } include { phase: TEST } }',
    "levels and stages": 'state { stage: "deploy" stage: "x" } '
    + INPUT
    + 'layer { name: "a" type: "ReLU" bottom: "data" top: "a" include { min_level: 1 } } '
    'layer { name: "b" type: "ReLU" bottom: "data" top: "b" include { max_level: 0 } } '
    'layer { name: "c" type: "ReLU" bottom: "data" top: "c" include { stage: "deploy" stage: "x" } } '
    'layer { name: "d" type: "ReLU" bottom: "data" top: "d" include { stage: "deploy" stage: "y" } } '
    'layer { name: "e" type: "ReLU" bottom: "data" top: "e" include { not_stage: "y" } } '
    'layer { name: "f" type: "ReLU" bottom: "data" top: "f" exclude { not_stage: "x" } } '
    'layer { name: "g" type: "ReLU" bottom: "data" top: "g" exclude { phase: TEST stage: "deploy" } } '
    'layer { name: "h" type: "ReLU" bottom: "data" top: "h" include { } }',
    "a phase of its own": INPUT + 'layer { name: "d" type: "Dropout" bottom: "data" top: "d" phase: TRAIN }',
    "splits": INPUT
    + 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 1 } } '
    'layer { name: "r" type: "ReLU" bottom: "c" top: "c" } '
    'layer { name: "x" type: "ReLU" bottom: "c" top: "x" } '
    'layer { name: "e" type: "Eltwise" bottom: "c" bottom: "data" bottom: "c" bottom: "x" top: "e" }',
    "splits behind second tops": INPUT
    + 'layer { name: "s" type: "Slice" bottom: "data" top: "s1" top: "s2" slice_param { slice_point: 2 } } '
    'layer { name: "e" type: "Eltwise" bottom: "s1" bottom: "s2" top: "e" } '
    'layer { name: "k" type: "Concat" bottom: "s2" bottom: "e" top: "k" }',
    "a user's own Split": INPUT + 'layer { name: "s" type: "Split" bottom: "data" top: "a" top: "b" } '
    'layer { name: "e" type: "Eltwise" bottom: "a" bottom: "b" top: "e" }',
    "BatchNorm without params": INPUT + 'layer { name: "b" type: "BatchNorm" bottom: "data" top: "b" }',
    "BatchNorm with one param": INPUT
    + 'layer { name: "b" type: "BatchNorm" bottom: "data" top: "b" param { lr_mult: 0 decay_mult: 3 } }',
    "old BatchNorm": INPUT
    + 'layer { name: "b" type: "BatchNorm" bottom: "data" top: "b" param { lr_mult: 0 } param { lr_mult: 0 } '
    "param { lr_mult: 0 } }",
    "old BatchNorm that learns": INPUT
    + 'layer { name: "b" type: "BatchNorm" bottom: "data" top: "b" param { name: "p" lr_mult: 2 } param { decay_mult: 5 } '
    "param { } batch_norm_param { use_global_stats: true eps: 2e-5 } }",
    "BatchNorm in place, then Scale": INPUT + 'layer { name: "b" type: "BatchNorm" bottom: "data" top: "data" } '
    'layer { name: "s" type: "Scale" bottom: "data" top: "data" scale_param { bias_term: true } }',
    "a loss gets its weight": INPUT
    + 'layer { name: "l" type: "EuclideanLoss" bottom: "data" bottom: "data" top: "l" }',
    "a loss without a top": INPUT + 'layer { name: "l" type: "EuclideanLoss" bottom: "data" bottom: "data" }',
    "a loss weight of zero": INPUT
    + 'layer { name: "l" type: "EuclideanLoss" bottom: "data" bottom: "data" top: "l" loss_weight: 0 }',
    "a loss that is read": INPUT
    + 'layer { name: "l" type: "EuclideanLoss" bottom: "data" bottom: "data" top: "l" loss_weight: 0.3 } '
    'layer { name: "p" type: "Power" bottom: "l" top: "p" }',
    "a loss that is read twice": INPUT + 'layer { name: "p" type: "Power" bottom: "data" top: "p" loss_weight: 2 } '
    'layer { name: "q" type: "Power" bottom: "p" top: "q" } layer { name: "r" type: "Power" bottom: "p" top: "r" }',
    "loss weights on two tops": INPUT
    + 'layer { name: "s" type: "Slice" bottom: "data" top: "a" top: "b" slice_param { slice_point: 2 } loss_weight: 1 '
    "loss_weight: 0 } "
    'layer { name: "p" type: "Power" bottom: "b" top: "p" } layer { name: "q" type: "Power" bottom: "b" top: "q" }',
    "SoftmaxWithLoss and Accuracy": INPUT
    + 'layer { name: "y" type: "Input" top: "y" input_param { shape { dim: 1 dim: 1 dim: 6 dim: 6 } } } '
    'layer { name: "l" type: "SoftmaxWithLoss" bottom: "data" bottom: "y" top: "l" loss_param { ignore_label: -1 } } '
    'layer { name: "a" type: "Accuracy" bottom: "data" bottom: "y" top: "a" }',
    "blobs in the text are left out": INPUT
    + 'layer { name: "i" type: "InnerProduct" bottom: "data" top: "i" inner_product_param { num_output: 1 bias_term: false '
    'weight_filler { type: "constant" value: 0.1 } } param { name: "shared" lr_mult: 1 } propagate_down: true } '
    'layer { name: "j" type: "InnerProduct" bottom: "data" top: "j" inner_product_param { num_output: 1 bias_term: false } '
    'param { name: "shared" } }',
    "an empty type of net": 'name: ""',
    "names with odd letters": 'name: "n\\303\\266t \\"q\\"" '
    'layer { name: "in/put \'x\'" type: "Input" top: "d\\tx" input_param { shape { dim: 1 dim: 1 } } } '
    'layer { name: "r" type: "ReLU" bottom: "d\\tx" top: "r" } layer { name: "s" type: "ReLU" bottom: "d\\tx" top: "s" }',
    "V1": 'name: "v1" input: "data" input_dim: 1 input_dim: 4 input_dim: 6 input_dim: 6 '
    'layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 '
    'convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 2 weight_filler { type: "gaussian" std: 0.01 } } } '
    'layers { name: "r" type: RELU bottom: "c" top: "c" } '
    'layers { name: "n" type: LRN bottom: "c" top: "n" lrn_param { local_size: 3 alpha: 5e-05 norm_region: WITHIN_CHANNEL } } '
    'layers { name: "p" type: POOLING bottom: "n" top: "p" pooling_param { pool: AVE kernel_size: 2 stride: 2 } } '
    'layers { name: "d" type: DROPOUT bottom: "p" top: "p" dropout_param { dropout_ratio: 0.3 } } '
    'layers { name: "f" type: INNER_PRODUCT bottom: "p" top: "f" inner_product_param { num_output: 3 } } '
    'layers { name: "x" type: TANH bottom: "f" top: "x" } layers { name: "y" type: SIGMOID bottom: "f" top: "y" } '
    'layers { name: "e" type: ELTWISE bottom: "x" bottom: "y" top: "e" eltwise_param { operation: PROD } } '
    'layers { name: "a" type: ABSVAL bottom: "e" top: "a" } layers { name: "b" type: BNLL bottom: "a" top: "b" } '
    'layers { name: "w" type: POWER bottom: "b" top: "w" power_param { power: 2 } } '
    'layers { name: "s" type: SOFTMAX bottom: "w" top: "s" include { phase: TEST } } '
    'layers { name: "z" type: SILENCE bottom: "s" exclude { phase: TEST } }',
    "V1 shared parameters": 'input: "data" input_dim: [1, 4, 1, 1] '
    'layers { name: "i" type: INNER_PRODUCT bottom: "data" top: "i" param: "w" param: "b" blob_share_mode: STRICT '
    "blob_share_mode: PERMISSIVE inner_product_param { num_output: 4 } } "
    'layers { name: "j" type: INNER_PRODUCT bottom: "i" top: "j" param: "w" blobs_lr: [0.5, 1] weight_decay: 3 '
    "inner_product_param { num_output: 4 } }",
    "V1 losses and the rest": 'input: "data" input: "y" input_dim: [2, 4, 1, 1, 2, 1, 1, 1] '
    'layers { name: "c" type: CONCAT bottom: "data" bottom: "data" top: "c" concat_param { concat_dim: 1 } } '
    'layers { name: "f" type: FLATTEN bottom: "c" top: "f" } '
    'layers { name: "m" type: MVN bottom: "data" top: "m" mvn_param { across_channels: true } } '
    'layers { name: "x" type: EXP bottom: "m" top: "x" exp_param { base: 2 } } '
    'layers { name: "t" type: THRESHOLD bottom: "x" top: "t" threshold_param { threshold: 0.5 } } '
    'layers { name: "g" type: ARGMAX bottom: "t" top: "g" argmax_param { top_k: 2 } } '
    'layers { name: "k" type: SLICE bottom: "f" top: "k1" top: "k2" slice_param { slice_dim: 1 } } '
    'layers { name: "s" type: SOFTMAX_LOSS bottom: "k1" bottom: "y" top: "s" loss_weight: 0.5 loss_param { normalize: false } } '
    'layers { name: "h" type: HINGE_LOSS bottom: "k2" bottom: "y" top: "h" hinge_loss_param { norm: L2 } } '
    'layers { name: "u" type: DUMMY_DATA top: "u" dummy_data_param { num: 1 channels: 1 height: 1 width: 1 } } '
    'layers { name: "v" type: SPLIT bottom: "u" top: "v1" top: "v2" } '
    'layers { name: "o" type: MEMORY_DATA top: "o1" top: "o2" memory_data_param { batch_size: 1 channels: 1 height: 2 width: 2 } '
    "transform_param { scale: 0.5 } }",
    "V0": 'name: "v0" force_backward: true input: "data" input_dim: 1 input_dim: 4 input_dim: 8 input_dim: 8 '
    'layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "data" top: "pad" } '
    'layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 5 group: 2 stride: 1 biasterm: false '
    'weight_filler { type: "gaussian" std: 0.01 } bias_filler { type: "constant" } blobs_lr: 1 weight_decay: 1 } '
    'bottom: "pad" top: "c" } '
    'layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" } '
    'layers { layer { name: "p" type: "pool" pool: AVE kernelsize: 3 stride: 2 pad: 1 } bottom: "c" top: "p" } '
    'layers { layer { name: "n" type: "lrn" local_size: 3 alpha: 0.0001 beta: 0.5 k: 2 } bottom: "p" top: "n" } '
    'layers { layer { name: "d" type: "dropout" dropout_ratio: 0.7 } bottom: "n" top: "n" } '
    'layers { layer { name: "f" type: "innerproduct" num_output: 3 biasterm: true blobs_lr: 1 blobs_lr: 2 } '
    'bottom: "n" top: "f" } '
    'layers { layer { name: "g" type: "flatten" num_output: 9 stride: 2 new_num: 1 source: "x" } bottom: "f" top: "g" } '
    'layers { layer { name: "k" type: "concat" concat_dim: 1 } bottom: "g" bottom: "f" top: "k" } '
    'layers { layer { name: "t" type: "tanh" } bottom: "k" top: "t" } '
    'layers { layer { name: "b" type: "bnll" } bottom: "t" top: "b" } '
    'layers { layer { name: "s" type: "sigmoid" } bottom: "b" top: "s" } '
    'layers { layer { name: "o" type: "softmax" } bottom: "s" top: "o" }',
    "V0 loss": 'input: "data" input: "y" input_dim: [2, 4, 1, 1, 2, 1, 1, 1] '
    'layers { layer { name: "s" type: "softmax_loss" } bottom: "data" bottom: "y" } '
    'layers { layer { name: "a" type: "accuracy" } bottom: "data" bottom: "y" top: "a" } '
    'layers { layer { name: "e" type: "euclidean_loss" } bottom: "data" bottom: "data" } '
    'layers { layer { name: "p" type: "padding" pad: 1 } bottom: "data" top: "p" } '
    'layers { layer { name: "q" type: "pool" pool: MAX kernelsize: 3 } bottom: "p" top: "q" } '
    'layers { layer { name: "z" type: "pool" pool: STOCHASTIC kernelsize: 1 } bottom: "data" top: "z" } '
    'layers { layer { name: "i" type: "split" } bottom: "data" top: "i" }',
}

# What the text format allows, each in a net that Caffe loads.
_P = 'layer { name: "p" type: "Power" bottom: "data" top: "p" power_param { %s } }'
_Q = 'layer { name: "q" type: "Convolution" bottom: "data" top: "q" convolution_param { num_output: 4 kernel_size: 1 %s } }'
TEXTS: dict[str, str] = {
    "angle brackets": 'layer < name: "in" type: "Input" top: "data" input_param < shape < dim: 1 > > >',
    "mixed brackets": 'layer { name: "in" type: "Input" top: "data" input_param < shape { dim: 1 } > }',
    "a colon before a message": 'layer: { name: "in" type: "Input" top: "data" input_param: { shape: { dim: 1 } } }',
    "separators": 'name: "n"; layer { name: "in", type: "Input"; top: "data", input_param { shape { dim: 1; dim: 2, } }; };',
    "short lists": 'layer { name: "in" type: "Input" top: ["a", "b"] input_param { shape: [{ dim: [1, 2] }, { dim: [3] }] } }',
    "short lists without a colon": 'layer [ { name: "in" type: "Input" top: "a" input_param { shape [ { dim: [1] } ] } } ]',
    "an empty list": 'layer { name: "in" type: "Input" top: "a" input_param { shape { dim: [] } } bottom: [] }',
    "comments": '# first\nlayer { # a "quote" in it\n name: "in # not" # and } this\n type: "Input" top: "data" }\n#last',
    "no spaces": 'name:"n"layer{name:"in"type:"Input"top:"data"input_param{shape{dim:1 dim:2}}}',
    "carriage returns": INPUT.replace(" ", "\r\n\t"),
    "adjacent strings": 'name: "a" \'b\' # c\n "d"\n' + INPUT,
    "escapes": r'name: "\a\b\f\n\r\t\v\\\'\"\?\1\12\101\x41\x4a\u00e4\U0001F600\ud83d\ude00" ' + INPUT,
    "utf-8": 'name: "näme 名 \U0001f600" ' + INPUT,
    "bytes by escapes": r'name: "\xc3\xa4\303\244" ' + INPUT,
    "enum by number": INPUT + 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" '
    "pooling_param { pool: 1 kernel_size: 2 } phase: 1 }",
    "enum by hexadecimal number": INPUT + 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" '
    "pooling_param { pool: 0x1 kernel_size: 2 } }",
    "integers": 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 0x1 dim: 010 dim: 0 dim: 00 '
    "dim: 0X0f } } }",
    "negative integers": INPUT
    + 'layer { name: "s" type: "Softmax" bottom: "data" top: "s" softmax_param { axis: - 1 } }',
    "bounds of integers": INPUT + _P % "" + " state { level: -2147483648 } input_dim: [2147483647, -2147483648]",
}
TEXTS.update(
    {
        f"bool {one}": INPUT + _Q % f"bias_term: {one}"
        for one in ("true", "false", "True", "False", "t", "f", "1", "0", "0x1", "01")
    }
)
TEXTS.update(
    {
        f"float {one}": INPUT + _P % f"power: {one}"
        for one in (
            "1", "-1", "- 2.5", "1.", ".5", "1e3", "1E-3", "1.5e+2", "2f", "2.5F", "1e2f", "0", "-0", "0.0", "inf", "-inf",
            "INF", "Infinity", "-infinity", "nan", "NaN", "3.4028235e38", "1e-45", "1e-46", "0.1", "16777217",
            "123456789012345678901234567890", "5e-05", "0f", "1.17549435e-38", "7.0064923216240854e-46",
        )
    }
)  # fmt: skip

#: Nets that Caffe refuses and so do we: name -> (text, a part of what we say).
REFUSED: dict[str, tuple[str, str]] = {
    "unknown bottom": (INPUT + 'layer { name: "r" type: "ReLU" bottom: "dta" top: "r" }', "Unknown blob 'dta'"),
    "a bottom that comes later": (
        'layer { name: "r" type: "ReLU" bottom: "data" top: "r" } ' + INPUT,
        "Unknown blob 'data'",
    ),
    "one top from two layers": (
        INPUT
        + 'layer { name: "a" type: "ReLU" bottom: "data" top: "x" } layer { name: "b" type: "ReLU" bottom: "data" top: "x" }',
        "made by two layers",
    ),
    "in place on a blob that is read twice": (
        INPUT
        + 'layer { name: "a" type: "ReLU" bottom: "data" top: "a" } layer { name: "b" type: "ReLU" bottom: "data" top: "data" }',
        "made by two layers",
    ),
    "layer and layers": (
        INPUT + 'layers { name: "r" type: RELU bottom: "data" top: "r" }',
        "both 'layer' and 'layers'",
    ),
    "include and exclude": (
        INPUT
        + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" include { phase: TEST } exclude { phase: TRAIN } }',
        "both include and exclude",
    ),
    "BatchNorm that learns": (
        INPUT + 'layer { name: "b" type: "BatchNorm" bottom: "data" top: "b" param { lr_mult: 1 } }',
        "are not trained",
    ),
    "BatchNorm with four params": (
        INPUT + 'layer { name: "b" type: "BatchNorm" bottom: "data" top: "b" '
        "param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 } }",
        "too many param",
    ),
    "propagate_down for too few": (
        INPUT + 'layer { name: "e" type: "Eltwise" bottom: "data" bottom: "data" top: "e" propagate_down: true }',
        "propagate_down",
    ),
    "loss_weight for too few": (
        INPUT + 'layer { name: "s" type: "Slice" bottom: "data" top: "a" top: "b" loss_weight: 1 }',
        "loss_weight",
    ),
    "unknown V0 type": ('layers { layer { name: "c" type: "convolution" } top: "c" }', "Unknown V0 layer type"),
    "V0 padding before relu": (
        'input: "d" input_dim: [1, 1, 4, 4] layers { layer { name: "p" type: "padding" pad: 1 } bottom: "d" top: "p" } '
        'layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }',
        "cannot fold",
    ),
    "V0 unknown bottom": ('layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }', "Unknown blob 'p'"),
    "a missing required field": (
        INPUT + 'layer { name: "c" type: "Clip" bottom: "data" top: "c" clip_param { min: 0 } }',
        "Required fields are missing",
    ),
    "a field twice": (INPUT + 'name: "a" name: "b"', "written twice"),
    "a message twice": (INPUT + "state { } state { }", "written twice"),
    "an unknown field": (INPUT + "nme: 1", "has no field 'nme'"),
    "an unknown enum value": (INPUT + "state { phase: TESTING }", "has no value 'TESTING'"),
    "an unknown enum number": (INPUT + "state { phase: 7 }", "has no value 7"),
    "an enum in quotes": (INPUT + 'state { phase: "TEST" }', "takes one of a few names"),
    "a missing colon": (INPUT + 'name "x"', "':' is missing"),
    "a missing brace": ('layer { name: "x"', "ends inside 'layer'"),
    "a brace too much": (INPUT + "}", "closes what is not open"),
    "the wrong brace": ('layer { name: "x" >', "closes what is not open"),
    "an int out of range": (INPUT + "input_dim: 2147483648", "out of range"),
    "an int below range": (INPUT + "input_dim: -2147483649", "out of range"),
    "a negative unsigned": (
        INPUT + 'layer { name: "c" type: "Convolution" convolution_param { group: -1 } }',
        "out of range",
    ),
    "a float for an int": (INPUT + "input_dim: 1.0", "takes a whole number"),
    "a bad octal": (INPUT + "input_dim: 08", "takes a whole number"),
    "a hexadecimal float": (INPUT + _P % "power: 0x10", "takes a number"),
    "an octal float": (INPUT + _P % "power: 010", "takes a number"),
    "a word for a float": (INPUT + _P % "power: two", "takes a number"),
    "a number for a bool": (INPUT + "force_backward: 2", "either true or false"),
    "a word for a bool": (INPUT + "force_backward: TRUE", "either true or false"),
    "a bare word for a string": (INPUT + "name: net", "takes a quoted string"),
    "a string without end": (INPUT + 'name: "net', "no closing quote"),
    "a string over two lines": (INPUT + 'name: "a\nb"', "no closing quote"),
    "a line that ends in a backslash": (INPUT + 'name: "a\\\nb"', "no closing quote"),
    "a hexadecimal escape in upper case": (INPUT + r'name: "\X4A"', "bad escape"),
    "a bad escape": (INPUT + r'name: "\q"', "bad escape"),
    "a list for a single field": (INPUT + 'name: ["net"]', "takes a quoted string"),
    "a list with a comma at its end": ('input: "a" input_dim: [1, 2, 3, 4,] ' + INPUT, "takes a whole number"),
    "two separators": (INPUT + 'name: "n";;', "field name was expected"),
    "an extension": (INPUT + "[caffe.x]: 1", "Extensions"),
    "a letter outside a string": (INPUT + "äme: 1", "not allowed in a prototxt"),
    "a control character": (INPUT + "\x01", "not allowed in a prototxt"),
    "a number that runs into a name": ('input: "a" input_dim: 1name: "n" ' + INPUT, "runs into"),
    "a number with two points": (INPUT + _P % "power: 1.2.3", "runs into"),
    "a C comment": (INPUT + "// no", "field name was expected"),
}

#: What Caffe's reader lets through with a value that nobody meant, and ours refuses.
STRICTER: dict[str, tuple[str, str]] = {
    "an octal escape beyond a byte": (INPUT + r'name: "\777"', "bad escape"),
    "a lone surrogate": (INPUT + r'name: "\ud83d"', "bad escape"),
    "a float beyond float32": (INPUT + _P % "power: 1e40", "out of range"),
    "a float beyond double": (INPUT + _P % "power: 1e400", "out of range"),
}
