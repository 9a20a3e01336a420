"""Sampling responses from a policy: one protocol, several engines."""
