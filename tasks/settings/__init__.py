"""Settings: what a run may change, and how recast speaks to people: command line, terminal, errors, messages. No step and no result."""
