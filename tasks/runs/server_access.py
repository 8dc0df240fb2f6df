"""Server access: how Prefect's clients and embedded servers in this process get the local password.

A server of this machine gets it, and the server that a run starts for itself. No other address does.
"""

import os
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from prefect.context import refresh_global_settings_context
from prefect.settings import get_current_settings

from tasks.runs.local_auth import local_auth


def authenticate() -> None:
    """Set Prefect's credentials for local servers, unless the user's settings have some.

    Prefect starts an embedded server with this process's environment, so the server asks for what the clients send.
    """
    settings = get_current_settings()
    auth = settings.api.auth_string.get_secret_value() if settings.api.auth_string else None
    if not auth and not settings.api.key and is_local(settings.api.url):
        auth = os.environ["PREFECT_API_AUTH_STRING"] = local_auth()
    if auth and not settings.api.url:
        os.environ.setdefault("PREFECT_SERVER_API_AUTH_STRING", auth)
        protect_database()
    refresh_global_settings_context()


def protect_database() -> None:
    """Let nobody else read the SQLite database of a local server; SQLite gives its other files the same mode."""
    settings = get_current_settings()
    file, address = Path(settings.home) / "prefect.db", settings.server.database.connection_url
    if address and address.get_secret_value() == f"sqlite+aiosqlite:///{file}":
        file.touch(mode=0o600)
        if file.stat().st_uid == os.geteuid():
            file.chmod(0o600)


def is_local(address: str | None) -> bool:
    """Return whether the address is on the loopback interface; None is the embedded server, which is."""
    host = urlsplit(address).hostname if address else "localhost"
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
