"""What a board's test program does to its inputs and outputs: pixels, boxes, classes."""
