"""Synthetic: the drawn sample: parts, defects, cameras and planted faults, each known exactly. No real photograph."""
