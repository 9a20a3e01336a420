"""What crosses the border between the orchestration and the machine learning, defined once."""
