"""Inference: what a finished model says about images: its folder, runtimes, decision and checks. Nothing that changes weights."""
