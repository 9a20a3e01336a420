"""The cold start: supervised fine-tuning on reasoning traces."""
