"""Inputs and outputs as processed by a board's test program: pixels, boxes, classes."""
