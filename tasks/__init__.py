"""recast: each file here is a step, called by its verb; each folder holds nouns. `flows/` reads them as sentences.

This file sets defaults that Prefect, TensorFlow and NumPy read once, when they are imported. The environment wins over them.
"""

import os

LOOPBACK = ("127.0.0.1", "localhost", "::1")
DEFAULTS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # else a new database logs "database is locked"
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # a cold start takes 25 s under load
    "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "",  # no page of another address may ask
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # s; deployments/automations.py says why
    "DO_NOT_TRACK": "true",  # Prefect and MLflow: what a foundry trains is its own business
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # a bar for every file that is read back
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",  # a pooled connection sees no restored file
    "OPENBLAS_NUM_THREADS": "1",  # recast's own threads use the cores; more only wait for them
    "TF_CPP_MIN_LOG_LEVEL": "2",  # errors, not the note on CPU instructions
}

for name, value in DEFAULTS.items():
    os.environ.setdefault(name, value)
for name in ("NO_PROXY", "no_proxy"):  # no proxy reaches this machine's own servers
    hosts = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    os.environ[name] = ",".join(dict.fromkeys([host for host in hosts if host] + list(LOOPBACK)))
