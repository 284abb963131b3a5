"""Host runtimes used instead of the board: OpenCV, onnxruntime, LiteRT, TensorFlow, pyarmnn."""
