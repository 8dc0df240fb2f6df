"""Private files: secrets that only their owner can read."""

import os
import secrets
import stat
import tempfile
from pathlib import Path

from tasks.settings.errors import BadInput

BYTES = 32  # random bytes in a secret


def create_private_file(file: Path, text: str) -> None:
    """Write a new file that others cannot read, whole or not at all. Of two processes at once, the first one's text counts."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number, scratch = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name.lstrip('.')}-")  # mode 600
    try:
        with open(number, "w", encoding="ascii") as opened:
            opened.write(text)
        os.link(scratch, file)
    except FileExistsError:
        pass
    finally:
        os.unlink(scratch)


def require_private(file: Path, advice: str) -> None:
    """Raise BadInput, with this advice, where others can read or change the file; OSError where it cannot be looked at."""
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise BadInput(f"{file} can be read by others: chmod 600 it, and {advice}")


def load_secret(file: Path) -> str:
    """Return the random secret in a file, 64 hexadecimal digits; make it where there is none. Raises BadInput where it cannot be used."""
    try:
        if not file.exists():
            create_private_file(file, secrets.token_hex(BYTES))
        require_private(file, "delete it where somebody may have read it: a new one is made")
        secret = file.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise BadInput(
            f"{file} cannot be used ({error.strerror}): a file that you alone can read is expected"
        ) from error
    if len(secret) != 2 * BYTES:
        raise BadInput(
            f"{file} holds {len(secret)} characters, expected {2 * BYTES} of a secret: delete it, and a new one is made"
        )
    return secret
