"""Pictures: headers and decoding."""
