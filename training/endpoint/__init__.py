"""A model behind an OpenAI-compatible endpoint: what goes over the wire, and what may go wrong."""
