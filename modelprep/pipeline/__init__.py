"""From recipes to finished trees: `plan` decides, `run` executes, and one module for each other verb."""
