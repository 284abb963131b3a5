"""Will the board test pass? Lint, preprocessing, host runtimes, verdicts."""
