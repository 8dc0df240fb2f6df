"""Tracking: runs and model versions in MLflow, and its database. No other room imports MLflow."""
