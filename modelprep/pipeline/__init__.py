"""From recipes to finished trees: `plan` decides, `run` executes; one module for each other verb."""
