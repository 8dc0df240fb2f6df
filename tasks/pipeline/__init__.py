"""Pipeline: how a flow runs its steps: cache, Prefect server, the last run, and what may be deleted. No step itself."""
