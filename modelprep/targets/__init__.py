"""What the runtimes of the boards accept, as data per version."""
