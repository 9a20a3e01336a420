"""Kills and faults around stages, made on purpose: python -m drills."""
