"""Labeling: what people say of photographs, the photographs that wait for an answer, and where the labels go."""
