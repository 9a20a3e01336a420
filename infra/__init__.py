"""Settings, object store, process launcher, recipes, deployment files."""
