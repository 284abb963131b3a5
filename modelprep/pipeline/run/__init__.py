"""Do: execute a plan."""
