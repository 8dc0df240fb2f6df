"""Local password: who may use the servers that recast starts on this machine.

Every process and every web page on a machine reaches its loopback ports, and a Prefect server runs everything that it is asked to run.
So these servers ask for a name and a password. A file that only its owner can read gives them to the owner's processes.
"""

import os
import secrets
import stat
import tempfile
from pathlib import Path

from tasks.settings.errors import BadInput

USER = "recast"
BYTES = 32  # random bytes in a password


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
            create(file)
        return read(file)
    except OSError as error:
        raise BadInput(
            f"the password file {file} cannot be used ({error.strerror}): "
            "a file that you alone can read is expected there, or where RECAST_AUTH_FILE says"
        ) from error


def create(file: Path) -> None:
    """Write a new password, whole or not at all. Of two processes at once, the first one's password counts."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number, scratch = tempfile.mkstemp(dir=file.parent, prefix=".auth-")  # mode 600
    try:
        with open(number, "w", encoding="ascii") as opened:
            opened.write(f"{USER}:{secrets.token_urlsafe(BYTES)}\n")
        os.link(scratch, file)
    except FileExistsError:
        pass
    finally:
        os.unlink(scratch)


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
