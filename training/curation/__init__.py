"""Stage 0, GRAMMAR curation (paper section 3.1)."""
