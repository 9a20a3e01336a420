"""Inputs from outside the store: resolved to names, sizes and digests, and read where they lie.

The network is used here, and by the store, and nowhere else.
"""
