"""Flows: the commands that a person or a schedule starts."""
