"""Great Expectations suites and the gate that raises."""
