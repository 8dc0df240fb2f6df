"""Access: what the review page answers at all, and to whom. Each refusal says what was wrong, and nothing was done."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.review.texts import REFUSALS

MAX_FORM = 64 * 1_024  # bytes
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser hides the origin of its own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Refusal(Exception):
    """A request that is refused, with the status and a sentence."""

    def __init__(self, status: int, reason: str, **values: object):
        """Take the sentence of this name in `REFUSALS`."""
        super().__init__(REFUSALS[reason].format(**values))
        self.status, self.reason = status, reason


class Guard:
    """Let through only requests that name this page as host, and forms that this page sent, of a modest size."""

    def __init__(self, app: ASGIApp, sites: Iterable[str]):
        """Take the addresses of the page, as `http://127.0.0.1:8700`."""
        self.app = app
        self.sites = frozenset(site.lower() for site in sites)
        self.hosts = frozenset(urlsplit(site).netloc for site in self.sites)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close"})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if refusal := self.fault_of(scope):
            answer = PlainTextResponse(str(refusal), refusal.status)
            await answer(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)

    def fault_of(self, scope: Scope) -> Refusal | None:
        """Return why a request is refused before anybody reads it; None where it is not."""
        headers = Headers(scope=scope)
        if len(headers.getlist("host")) != 1 or headers["host"].lower() not in self.hosts:
            return Refusal(421, "host")
        if scope["method"] in ("GET", "HEAD"):
            return None
        origins = headers.getlist("origin")
        if len(origins) != 1 or origins[0].lower() not in self.sites:
            return Refusal(403, "origin")
        length = headers.get("content-length", "")
        if not length.isdecimal() or "transfer-encoding" in headers:  # beside pieces, a length counts for nothing
            return Refusal(411, "no_length")
        return Refusal(413, "too_large") if int(length) > MAX_FORM else None


def new_token() -> str:
    """Return a random token of a session."""
    return secrets.token_urlsafe(32)


def equal_secrets(given: str, expected: str) -> bool:
    """Compare two secrets by their digests, so that the time tells nothing about either."""
    first, second = (hashlib.sha256(text.encode(errors="surrogatepass")).digest() for text in (given, expected))
    return hmac.compare_digest(first, second)


def require_token(session: dict[str, Any], token: str) -> None:
    """Raise Refusal unless the form bears the token of its session."""
    if not session.get("token") or not equal_secrets(token, session["token"]):
        raise Refusal(403, "token")


def require_person(session: dict[str, Any]) -> str:
    """Return who looks. Raises Refusal where nobody said so."""
    person = session.get("person")
    if not isinstance(person, str):
        raise Refusal(401, "enter_first")
    return person
