"""The pocket world: generated problems and a tiny base model, for runs on a laptop."""
