"""Metrics sinks: where the figures of a training stage go beside its `metrics.jsonl`.

They are written by the task that watches a stage, and not by the stage: its processes get no
credentials, need no network, and never wait for a server.
"""
