"""Addresses: servers that variables name, asked with the user and password that stand in the address, and shown without these."""

import base64
import http.client
import urllib.request
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from tasks.runs.errors import BadInput


class Address(NamedTuple):
    """An address, with what was taken out of it."""

    plain: str
    """Without user and password."""
    user: str = ""
    password: str = ""


def parted(address: str) -> Address:
    """Take user and password out of an address of the web; others stay whole: a database is asked with its password inside."""
    parts = urlsplit(address)
    credentials, _, host = parts.netloc.rpartition("@")
    if not credentials or parts.scheme not in ("http", "https"):
        return Address(address)
    user, _, password = credentials.partition(":")
    return Address(parts._replace(netloc=host).geturl(), unquote(user), unquote(password))


def status_of(address: str, path: str, seconds: float, user: str = "", password: str = "") -> int:
    """Ask a server for `path` and return the status of its answer; `address` is without user and password.

    Raises OSError when none comes, and BadInput for an address that cannot be asked. Neither tells the password.
    """
    try:
        request = urllib.request.Request(address.rstrip("/") + path)
        if user:  # not handed on to where an answer may lead
            credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {credentials}")
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.status
    except (ValueError, http.client.HTTPException):  # their texts hold parts of the password
        raise BadInput(
            f"{address} is no address of a server: expected http://HOST:PORT, with other signs than letters and digits in a password "
            "written as in %2F"
        ) from None
