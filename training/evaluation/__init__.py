"""Benchmarks: load, prompt, extract, score, aggregate."""
