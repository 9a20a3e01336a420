"""Full-size copies of the ten benchmarks: the published columns and files, the content our own."""
