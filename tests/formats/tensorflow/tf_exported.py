"""Run in a process of its own: graphs as TensorFlow 1 exports them, with flatten, dropout and conditions.

Usage: tf_exported.py FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
folder = Path(sys.argv[1])
dice = np.random.default_rng(1)


def weights(*shape: int) -> np.ndarray:
    return dice.normal(0, 0.1, shape).astype(np.float32)


def picture(batch: int | None = None) -> tf.Tensor:
    return tf1.placeholder(tf.float32, [batch, 8, 8, 3], "input")


def convolved(x: tf.Tensor) -> tf.Tensor:
    return tf1.nn.conv2d(x, weights(3, 3, 3, 4), strides=[1, 2, 2, 1], padding="SAME")


def flattened(x: tf.Tensor) -> tf.Tensor:  # tf.layers.flatten, slim.flatten since 1.4
    return tf1.reshape(x, tf1.stack([tf1.shape(x)[0], -1]))


def flattened_long_ago(x: tf.Tensor) -> tf.Tensor:  # slim.flatten before
    shape = tf1.shape(x)
    size = tf1.reduce_prod(tf1.slice(shape, [1], [3]))
    return tf1.reshape(x, tf1.concat([tf1.slice(shape, [0], [1]), tf1.expand_dims(size, 0)], 0))


def dense(x: tf.Tensor, inputs: int) -> tf.Tensor:
    return tf1.nn.bias_add(tf1.matmul(x, weights(inputs, 5)), weights(5))


def old_dropout(x: tf.Tensor, keep: tf.Tensor) -> tf.Tensor:  # tf.nn.dropout before 1.13
    random = tf1.random_uniform(tf1.shape(x), seed=1)
    return tf1.divide(x, keep) * tf1.floor(keep + random)


def rate_dropout(x: tf.Tensor, keep: tf.Tensor) -> tf.Tensor:  # tf.nn.dropout from 1.13
    rate = 1 - keep
    random = tf1.random_uniform(tf1.shape(x), seed=1)
    return x * (1 / (1 - rate)) * tf1.cast(tf1.greater_equal(random, rate), tf.float32)


def keep_prob() -> tf.Tensor:
    return tf1.placeholder(tf.float32, [], "keep_prob")


def condition(x: tf.Tensor) -> tf.Tensor:
    training = tf1.placeholder(tf.bool, [], "is_training")
    return tf1.cond(training, lambda: tf1.nn.relu(x) * 0.5, lambda: tf1.nn.relu6(x))


GRAPHS = {
    "flatten": lambda: dense(flattened(convolved(picture())), 64),
    "flatten_long_ago": lambda: dense(flattened_long_ago(convolved(picture())), 64),
    "flatten_fixed": lambda: dense(flattened(convolved(picture(1))), 64),
    "upsampled": lambda: tf1.image.resize_bilinear(convolved(picture()), tf1.shape(picture_of("input"))[1:3] * 2),
    "dropout_old": lambda: dense(old_dropout(flattened(convolved(picture())), keep_prob()), 64),
    "dropout_rate": lambda: dense(rate_dropout(flattened(convolved(picture())), keep_prob()), 64),
    "dropout_now": lambda: dense(tf1.nn.dropout(flattened(convolved(picture())), keep_prob=keep_prob()), 64),
    "dropout_default": lambda: dense(
        old_dropout(flattened(convolved(picture())), tf1.placeholder_with_default(np.float32(1), [], "keep_prob")), 64
    ),
    "condition": lambda: condition(convolved(picture())),
    "unknown_shape": lambda: dense(flattened(tf1.nn.relu(tf1.placeholder(tf.float32, None, "input"))), 64),
    "dropped_for_ever": lambda: dense(old_dropout(flattened(convolved(picture())), tf1.constant(0.5)), 64),
}


def picture_of(name: str) -> tf.Tensor:
    return tf1.get_default_graph().get_tensor_by_name(f"{name}:0")


for name, made in GRAPHS.items():
    with tf1.Graph().as_default() as graph:
        tf1.disable_control_flow_v2()
        tf1.identity(made(), "out")
        (folder / f"{name}.pb").write_bytes(graph.as_graph_def().SerializeToString())
