"""Reporting: what people read: run.json, report, model card and pictures. Nothing that decides."""
