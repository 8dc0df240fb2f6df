"""Training: learn weights: plan, input, augmentation, trainer and checkpoints. Nothing here judges the result."""
