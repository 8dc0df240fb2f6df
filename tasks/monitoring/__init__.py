"""Monitoring: what happens after release: drift, folders judged as they fill, and which images to label first. Nothing here trains."""
