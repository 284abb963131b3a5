"""The stand-in upstream: files that this project makes itself, served at the true addresses. See ``docs/demo.md``."""
