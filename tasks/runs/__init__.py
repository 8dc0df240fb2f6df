"""What every step shares: settings, records, files, caching, the registry, the report."""
