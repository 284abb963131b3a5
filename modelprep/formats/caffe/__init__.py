"""Caffe files."""
