"""Evaluation: what predictions are worth: metrics, costs, comparison and the rules of promotion. Nothing that runs a network."""
