"""Updates of the policy's weights, and the step checkpoints of a stage; imports DeepSpeed."""
