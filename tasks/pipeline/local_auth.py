"""Local password: who may use the servers that recast starts on this machine.

Every process and every web page on a machine reaches its loopback ports, and a Prefect server runs everything that it is asked to run.
So these servers ask for a name and a password. A file that only its owner can read gives them to the owner's processes.
"""

import os
import secrets
import stat
from pathlib import Path

from tasks.settings.errors import BadInput
from tasks.storage.private_files import BYTES, create_private_file

USER = "recast"


def auth_file() -> Path:
    """Return the path of the password file: `RECAST_AUTH_FILE`, else `~/.config/recast/auth`."""
    path = os.environ.get("RECAST_AUTH_FILE")
    return Path(path).expanduser().absolute() if path else Path.home() / ".config/recast/auth"


def local_auth() -> str:
    """Return `name:password` from the file. Where there is no file, create it with a random password.

    Raises:
        BadInput: The file cannot be made or read, belongs to another user, or holds no `name:password`.
    """
    file = auth_file()
    try:
        if not file.exists():
            create_private_file(file, f"{USER}:{secrets.token_urlsafe(BYTES)}\n")
        return read(file)
    except OSError as error:
        raise BadInput(
            f"the password file {file} cannot be used ({error.strerror}): "
            "a file that you alone can read is expected there, or where RECAST_AUTH_FILE says"
        ) from error


def read(file: Path) -> str:
    """Return the `name:password` in the file, after taking away others' rights to it. Raises BadInput as `local_auth` does."""
    with open(file, "rb") as opened:
        status = os.fstat(opened.fileno())
        if status.st_uid != os.geteuid():
            raise BadInput(
                f"the password file {file} belongs to user {status.st_uid}: give your own by RECAST_AUTH_FILE"
            )
        if stat.S_IMODE(status.st_mode) & 0o077:
            os.fchmod(opened.fileno(), 0o600)
        text = opened.read(1_024).decode("ascii", errors="replace").strip()
    name, _, password = text.partition(":")
    if not name or not password or not text.isascii() or not text.isprintable() or " " in text:
        raise BadInput(f"the password file {file} holds no `name:password`: delete it, and a new one is made")
    return text
