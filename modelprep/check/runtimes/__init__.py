"""The host's runtimes that stand in for the board: OpenCV, onnxruntime, LiteRT, TensorFlow, pyarmnn."""
