"""Kaggle credentials: which ones the client will find. The client is not imported, because it would use them."""

import json
import os
from pathlib import Path
from typing import Literal

from tasks.settings.errors import BadInput


def credentials() -> Literal["access token", "legacy key", "OAuth login", "none"]:
    """Return the kind of credentials that the client will use, without asking Kaggle. "none" is enough for public data sets."""
    if access_token():
        return "access token"
    if all(os.environ.get(f"KAGGLE_{name.upper()}") or stored_key().get(name) for name in ("username", "key")):
        return "legacy key"
    return "OAuth login" if Path("~/.kaggle/credentials.json").expanduser().exists() else "none"


def access_token() -> str | None:
    """Return the token that the client finds, or None.

    Raises BadInput where the client fails: it first takes the token for the path of a file, and its error shows the token.
    """
    from kagglesdk import get_access_token_from_env

    try:
        return get_access_token_from_env()[0]
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise BadInput(
            f"the Kaggle access token cannot be read ({reason}): write it to a file, set KAGGLE_API_TOKEN to its path"
        ) from None


def stored_key() -> dict[str, str]:
    """Return the content of kaggle.json; empty where no readable one exists."""
    try:
        return dict(json.loads(key_file().read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def key_file() -> Path:
    """Return the path of the kaggle.json to read: in the client's folder, else in ~/.kaggle, where its lower layer looks too."""
    configured = config_folder() / "kaggle.json"
    return configured if configured.exists() else Path("~/.kaggle/kaggle.json").expanduser()


def config_folder() -> Path:
    """Return the client's folder. The client's rule is repeated here, because to ask the client is to import it."""
    if configured := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(configured)
    old = Path("~/.kaggle").expanduser()
    return old if old.exists() else Path(os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()) / "kaggle"
