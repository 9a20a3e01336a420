"""The reinforcement-learning algorithms as pure functions of tensors."""
