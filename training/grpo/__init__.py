"""The RL stages: rollout, reward, advantage, distillation, update."""
