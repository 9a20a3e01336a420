"""What every stage's process needs: device, seeds, random state, preemption, metrics."""
