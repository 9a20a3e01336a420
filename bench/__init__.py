"""Measures speed as ratios to TRL, to other tools and to naive code: python -m bench."""
