"""Synthetic: draw a sample of parts, defects, cameras and planted faults, each known exactly. No real photograph is used."""
