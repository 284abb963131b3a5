"""TensorFlow files."""
