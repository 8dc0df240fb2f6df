"""Kaggle client: the official client, with timeouts, and with errors that say what to do and hold no signed address.

Importing `kaggle` signs in over the network, prints, and needs a folder. So the first call prepares for that and imports it.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from io import StringIO
from typing import TYPE_CHECKING, Any

from tasks.settings.errors import BadInput
from tasks.settings.redaction import redact
from tasks.sources.kaggle_credentials import config_folder, credentials, key_file

if TYPE_CHECKING:
    import requests

TIMEOUT = (10.0, 60.0)  # seconds: to connect, and between two pieces of an answer
HOW_TO_SIGN_IN = (
    "set KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, or write ~/.kaggle/kaggle.json, "
    "and accept the data set's terms on its page where it asks for that"
)


class Unavailable(ConnectionError):
    """A trouble of Kaggle or the connection that is worth another try, after `retry_after` seconds where Kaggle names a time."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(redact(message))
        self.retry_after = retry_after


class Damaged(Unavailable):
    """A difference between the bytes that arrived and those that Kaggle holds. It is worth another try, from the first byte."""


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """Yield a `KaggleApi` for the data set at `address`, signed in where there are credentials.

    Its `answer` is the last response that was no error. Raises as `plain_errors` does.
    """
    with plain_errors(address):
        api = client_class()()
        try:
            if credentials() in (
                "legacy key",
                "OAuth login",
            ):  # a token is sent without signing in, and the first answer checks it
                api.config = str(key_file())
                api.authenticate()
            yield api
        finally:
            if api.answer is not None:
                api.answer.close()


@cache
def client_class() -> type:
    """Return the client's class with timeouts and without retries of its own. The first call imports `kaggle`."""
    prepare_import()
    with redirect_stdout(
        StringIO()
    ):  # without credentials it prints a page on how to sign in, which a public data set does not need
        from kaggle.api.kaggle_api_extended import KaggleApi

    class Api(KaggleApi):
        answer: "requests.Response | None" = None

        def get_response_processor(self) -> Any:
            return lambda response: setattr(self, "answer", response)

        def download_file(
            self, response: Any, outfile: str, http_client: Any, quiet: bool = True, resume: bool = False, **_: Any
        ) -> None:
            # No retries by the client: they would use the old signed address, and replace the part by an error page.
            super().download_file(response, outfile, http_client, quiet, resume, max_retries=0, timeout=TIMEOUT)

    return Api


def prepare_import() -> None:
    """Prepare for `import kaggle`, so that it neither waits for ever, nor fails, nor prints credentials."""
    from kagglesdk.kaggle_http_client import KaggleHttpClient
    from requests.adapters import HTTPAdapter

    class Timeouts(HTTPAdapter):
        def send(self, request: Any, *args: Any, timeout: Any = None, **kwargs: Any) -> Any:
            return super().send(request, *args, timeout=timeout or TIMEOUT, **kwargs)  # type: ignore[misc]

    def start_session(client: Any) -> None:
        if not client._session:  # private, as its caller is: the test of a stalled server notices a rename
            original(client)
            for scheme in ("https://", "http://"):
                client._session.mount(scheme, Timeouts())

    original, KaggleHttpClient._init_session = KaggleHttpClient._init_session, start_session
    for name in ("VERBOSE", "VERBOSE_OUTPUT"):  # these print the Authorization header
        os.environ.pop(name, None)
    try:
        config_folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        os.environ["KAGGLE_CONFIG_DIR"] = tempfile.mkdtemp(prefix="kaggle-")


@contextmanager
def plain_errors(address: str) -> Iterator[None]:
    """Raise BadInput, Unavailable or Damaged, without secrets, for the errors of the client about the data set at `address`."""
    import requests

    try:
        yield
    except SystemExit:
        raise BadInput(
            f"Kaggle accepts none of the credentials found here, asked for {address}: {HOW_TO_SIGN_IN}"
        ) from None
    except requests.HTTPError as error:
        raise refusal(address, error) from None
    except (requests.RequestException, ConnectionError, TimeoutError) as error:
        raise failure(error) from None
    except ValueError as error:
        if isinstance(error, UnicodeError) or "Invalid header value" in str(error):
            raise BadInput(
                f"the Kaggle {credentials()} holds a line break or a letter that no key has: copy it again"
            ) from None
        raise Damaged(f"Kaggle's answer about {address} is damaged ({error})") from None


def failure(error: Exception) -> BadInput | Unavailable:
    """Return the error to raise for a broken connection, in words for the user."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return BadInput(
            "Kaggle's certificate is not trusted here: set REQUESTS_CA_BUNDLE to a file with the certificates of this network"
        )
    deepest: BaseException = error
    while inner := deepest.__cause__ or deepest.__context__:
        deepest = inner  # the error of the system, without the layers of the client
    return Unavailable(f"the connection to Kaggle failed ({type(error).__name__}: {deepest})")


def refusal(address: str, error: "requests.HTTPError") -> BadInput | Unavailable:
    """Return the error to raise for an error status, in words for the user."""
    response = error.response
    assert response is not None, "the client raises it about a response"
    response.close()
    status = response.status_code
    if status in (401, 403):
        return BadInput(
            f"Kaggle refuses access to {address} (status {status}, credentials: {credentials()}): {HOW_TO_SIGN_IN}"
        )
    if status == 404:
        return BadInput(
            f"Kaggle knows no data set, or not this version of it, at {address}: check the spelling and the number"
        )
    if status in (408, 425, 429) or status >= 500:
        return Unavailable(f"Kaggle is busy (status {status})", retry_after(response))
    return BadInput(f"Kaggle does not accept the request for {address} (status {status}: {error})")


def retry_after(response: "requests.Response") -> float | None:
    """Return the seconds that the server asks to wait; None where it names no time, or none that can be read."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry().parse_retry_after(response.headers["Retry-After"])
    except (KeyError, InvalidHeader):
        return None
