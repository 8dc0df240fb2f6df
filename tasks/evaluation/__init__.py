"""Evaluation: what predictions are worth: metrics, costs, comparison and the rules of release. Nothing that runs a network."""
