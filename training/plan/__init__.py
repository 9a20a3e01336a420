"""What a recipe takes of a machine, by arithmetic: memory, disk and time, before anything runs."""
