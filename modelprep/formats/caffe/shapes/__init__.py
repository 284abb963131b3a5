"""Shapes of Caffe networks: one rule a layer type."""
