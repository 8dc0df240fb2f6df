"""Networks, metrics and decisions."""
