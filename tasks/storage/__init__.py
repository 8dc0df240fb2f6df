"""Storage: files, tables, databases and digests on disk, whole or not at all. Nothing that knows what they mean."""
