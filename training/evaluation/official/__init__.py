"""The ten benchmarks of the paper (its Table 1), each by its official definition."""
