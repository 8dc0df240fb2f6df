"""Addresses: take user and password out of the address of a server, and ask a server for its status."""

import http.client
import urllib.error
import urllib.request
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from tasks.settings.errors import BadInput


class Address(NamedTuple):
    """An address without user and password, and the user and password that were in it."""

    plain: str
    """Without user and password."""
    user: str = ""
    password: str = ""


def split_address(address: str) -> Address:
    """Take user and password out of an address of the web. The address of a database stays whole: it needs its password."""
    parts = urlsplit(address)
    credentials, _, host = parts.netloc.rpartition("@")
    if not credentials or parts.scheme not in ("http", "https"):
        return Address(address)
    user, _, password = credentials.partition(":")
    return Address(parts._replace(netloc=host).geturl(), unquote(user), unquote(password))


def status_of(address: str, path: str, seconds: float) -> int:
    """Ask a server for `path`, without credentials, and return the HTTP status of its answer.

    Raises OSError when no answer comes, and BadInput for an address that names no server. Neither error shows the password.
    """
    try:
        with urllib.request.urlopen(address.rstrip("/") + path, timeout=seconds) as answer:
            return answer.status
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code
    except (ValueError, http.client.HTTPException):  # their texts hold parts of the password
        raise BadInput(
            f"{address} is no address of a server: expected http://HOST:PORT, with other signs than letters and digits in a password "
            "written as in %2F"
        ) from None
