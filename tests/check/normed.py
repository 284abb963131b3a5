"""A TensorFlow graph in text whose input goes through a FusedBatchNormV3, as TensorFlow 1.13 and later write it."""

from __future__ import annotations

_STAT = (
    'node {{ name: "{name}" op: "Const" attr {{ key: "dtype" value {{ type: DT_FLOAT }} }}'
    ' attr {{ key: "value" value {{ tensor {{ dtype: DT_FLOAT'
    " tensor_shape {{ dim {{ size: 1 }} }} float_val: {value} }} }} }} }}\n"
)
_NORM = (
    'node {{ name: "bn" op: "FusedBatchNormV3" input: "Placeholder" {inputs}'
    ' attr {{ key: "T" value {{ type: DT_FLOAT }} }} attr {{ key: "U" value {{ type: DT_FLOAT }} }}'
    ' attr {{ key: "data_format" value {{ s: "NHWC" }} }} attr {{ key: "epsilon" value {{ f: 0.001 }} }}'
    ' attr {{ key: "is_training" value {{ b: false }} }} }}\n'
)


def normed(text: str) -> str:
    """Put the node, complete and for inference, behind the placeholder: ``tf legalise`` takes the graph."""
    assert text.count('input: "Placeholder"') == 1
    stats = {"bn/gamma": 1, "bn/beta": 0, "bn/mean": 0, "bn/variance": 1}
    made = "".join(_STAT.format(name=name, value=value) for name, value in stats.items())
    norm = _NORM.format(inputs=" ".join(f'input: "{name}"' for name in stats))
    return made + norm + text.replace('input: "Placeholder"', 'input: "bn"')
