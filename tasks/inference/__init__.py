"""Inference: the use of a finished model: its folder, runtimes, decisions and checks. Nothing here changes weights."""
