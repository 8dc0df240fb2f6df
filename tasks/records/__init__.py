"""Records: what a step hands on, and the rows of tables. Data only, no work."""
