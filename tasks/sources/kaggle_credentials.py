"""Kaggle credentials: which ones the client will find, told without importing the client, which would use them."""

import json
import os
from pathlib import Path
from typing import Literal

from tasks.settings.errors import BadInput


def credentials() -> Literal["access token", "legacy key", "OAuth login", "none"]:
    """What the client signs in with, found as it looks for it, without asking Kaggle; "none" is enough for public data sets."""
    if access_token():
        return "access token"
    if all(os.environ.get(f"KAGGLE_{name.upper()}") or stored_key().get(name) for name in ("username", "key")):
        return "legacy key"
    return "OAuth login" if Path("~/.kaggle/credentials.json").expanduser().exists() else "none"


def access_token() -> str | None:
    """Found by the client. Raises BadInput where it stumbles: it takes the token for a file's path first, and shows it when that fails."""
    from kagglesdk import get_access_token_from_env

    try:
        return get_access_token_from_env()[0]
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise BadInput(
            f"the Kaggle access token cannot be read ({reason}): write it to a file, set KAGGLE_API_TOKEN to its path"
        ) from None


def stored_key() -> dict[str, str]:
    """What kaggle.json holds; empty without a readable one."""
    try:
        return dict(json.loads(key_file().read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def key_file() -> Path:
    """The kaggle.json to read: in the client's folder, else in ~/.kaggle, where its lower half looks too."""
    own = config_folder() / "kaggle.json"
    return own if own.exists() else Path("~/.kaggle/kaggle.json").expanduser()


def config_folder() -> Path:
    """The client's folder, by its own rule, repeated here because the client cannot be asked without being imported."""
    if named := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(named)
    old = Path("~/.kaggle").expanduser()
    return old if old.exists() else Path(os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()) / "kaggle"
