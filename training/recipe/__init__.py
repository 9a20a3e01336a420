"""The recipe: every number of a run, strict, frozen and saved with the run."""
