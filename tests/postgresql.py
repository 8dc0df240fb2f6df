"""PostgreSQL: run a server of the distribution's package, in a folder of its own, for a test that needs one."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import free_port, wait_until


def programs() -> Path:
    """The folder of the newest installed server. Where there is none, a test is skipped; in CI that is a failure."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/postgres"), *map(Path, filter(None, [shutil.which("postgres")]))]
    if not found:
        missing = "PostgreSQL is not installed: apt-get install postgresql"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return max(found, key=lambda path: [int(part) for part in path.parts if part.isdigit()]).parent


@contextmanager
def postgresql(user: str, password: str, *databases: str) -> Iterator[int]:
    """The port of a server on 127.0.0.1 that lets this user in, with these databases."""
    there, port = programs(), free_port()
    as_user = (
        {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    )  # root it refuses
    with tempfile.TemporaryDirectory(prefix="recast-postgresql-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        secret = folder / "password"
        secret.write_text(password)
        if as_user:
            for path in (folder, secret):
                shutil.chown(path, "postgres", "postgres")
        made = ["--auth=scram-sha-256", f"--username={user}", f"--pwfile={secret}", "--no-sync"]
        subprocess.run(
            [there / "initdb", f"--pgdata={folder / 'data'}", *made],
            cwd=folder,
            capture_output=True,
            check=True,
            **as_user,
        )
        words = [
            "-D",
            folder / "data",
            "-p",
            str(port),
            "-k",
            folder,
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
        ]
        with open(folder / "log", "wb") as log:
            server = subprocess.Popen([there / "postgres", *words], cwd=folder, stdout=log, stderr=log, **as_user)
        try:
            ready = [there / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"]
            wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, 60, "PostgreSQL")
            for database in databases:
                subprocess.run(
                    [there / "createdb", "--host=127.0.0.1", f"--port={port}", f"--username={user}", database],
                    env={**os.environ, "PGPASSWORD": password}, check=True,
                )  # fmt: skip
            yield port
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown
            server.wait(30)
