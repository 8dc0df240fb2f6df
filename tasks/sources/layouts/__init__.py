"""Layouts: the forms in which people keep labeled photographs, and how each is recognized and read."""
