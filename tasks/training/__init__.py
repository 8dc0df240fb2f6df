"""Training: how weights are learned: plan, input, augmentation, trainer and checkpoints. Nothing that judges the result."""
