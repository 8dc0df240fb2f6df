"""Dataset: what photographs are to each other: labels, copies, parts and splits. Nothing that knows a network."""
