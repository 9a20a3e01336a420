"""Programs that make a table, a picture or a model of this repository, outside of any run."""
