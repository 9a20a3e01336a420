"""The policy: loading, encoding, attention, adapters, forward pass and log-probabilities."""
