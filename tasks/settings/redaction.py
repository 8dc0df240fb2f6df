"""Redaction: takes passwords, tokens and keys out of a text before anybody sees it.

Every message, log line, report and error text passes `redact`. It knows the forms of secrets, and the values of this process's
own variables that hold one. It hides too much rather than too little.
"""

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote, unquote

HIDDEN = "***"
LEAST = 4  # letters of a value that is searched for in texts: shorter values occur in many words
WORDS = {"true", "false", "none", "null", "recast"}  # no secrets, in any variable
SECRET_VARIABLE = re.compile(
    r"^(?!.*_(FILE|PATH|DIR)$)(RECAST_ALERTS$|RECAST_AUTH$|.*(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|AUTH_STRING|WEBHOOK"
    r"|(API|ACCESS|PRIVATE|ACCOUNT|KAGGLE|LICENSE)_?KEY))",
    re.IGNORECASE,
)
NAMES = r"token|key|secret|sig|signature|passw(?:or)?d|passphrase|pwd|auth|credentials?|code|session"
FORMS = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # user and password of an address; with one slash after the scheme as `Path` writes it
        (r"(\b[a-z][a-z0-9+.-]*://)(?:[^\s/?<>\"]*|[^\s/:@<>\"]+:(?!\d+[/?#])[^\s<>\"]*)@", rf"\1{HIDDEN}@"),
        (r"(\b[a-z][a-z0-9+.-]*:/)(?!/)[^\s/?<>\":]*:[^\s/?<>\"]*@", rf"\1{HIDDEN}@"),
        # a webhook's path is its password
        (r"(\bhttps?:/{1,2}(?=[^\s'\"<>]*hook)[^\s/?#'\"<>]+)/[^\s'\"<>]+", rf"\1/{HIDDEN}"),
        # the query of an address, and of a path where its parameter is called so
        (r"(\b[a-z][a-z0-9+.-]*:/{1,2}[^\s?#'\"<>]*\?)[^\s'\"<>]+", rf"\1{HIDDEN}"),
        (rf"([?&;](?:[\w.-]*[_.-])?(?:{NAMES})=)[^\s&'\"<>)]+", rf"\1{HIDDEN}"),
        # PASSWORD=..., "token": "..."
        (r"(\b(?:\w+_)?(?:password|passwd|passphrase|pwd|secret|token|api_?key|access_?key)=)[^\s&'\",;]+", rf"\1{HIDDEN}"),
        (rf"(['\"](?:\w+_)?(?:{NAMES})['\"]\s*:\s*['\"])[^'\"]+", rf"\1{HIDDEN}"),
        # headers
        (
            r"(\b(?:proxy-)?authorization['\"]?\s*[:=]\s*(?:b?['\"])?)(?:(?:basic|bearer|digest|token|negotiate)\s+)?[^\s'\",}]+",
            rf"\1{HIDDEN}",
        ),
        (r"(\b(?:x-api-key|(?:set-)?cookie)['\"]?\s*[:=]\s*(?:b?['\"])?)[^\n'\"}]+", rf"\1{HIDDEN}"),
        # credentials have a capital, a digit or a sign after their first letter; the prose about them does not
        (r"\b((?-i:[Bb]asic|[Bb]earer|BASIC|BEARER) +)(?=\S+(?-i:[0-9A-Z=]))[\w.~+/=-]{4,}", rf"\1{HIDDEN}"),
    )
)  # fmt: skip


def redact(text: str) -> str:
    """Return `text` with each secret in it replaced by `***`. What is redacted already stays as it is."""
    if values := pattern_of(tuple(sorted(set(find_secrets(os.environ)), key=lambda value: (-len(value), value)))):
        text = values.sub(HIDDEN, text)
    for pattern, replacement in FORMS:
        text = pattern.sub(replacement, text)
    return text


def find_secrets(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets in these variables: whole values, and the user and password of addresses, in each spelling."""
    for name, value in environment.items():
        secrets = [value, value.partition(":")[2]] if is_secret(name) else []  # NAME:PASSWORD is a value too
        if "://" in value and (credentials := re.match(r"[A-Za-z][A-Za-z0-9+.-]*://(.+)@", value, re.DOTALL)):
            secrets += [credentials[1], credentials[1].partition(":")[2]]
        for secret in secrets:
            yield from (form for form in (secret, unquote(secret), quote(secret, safe="")) if is_telling(form))


@lru_cache(maxsize=1024)
def is_secret(variable: str) -> bool:
    """Return whether a variable of this name holds a secret, and not the path of a file with one."""
    return bool(SECRET_VARIABLE.match(variable))


def is_telling(value: str) -> bool:
    """Return whether texts must not show a value: it is not short, and no short number, switch or everyday word."""
    return len(value) >= LEAST and value.lower() not in WORDS and not (value.isdigit() and len(value) < 2 * LEAST)


@lru_cache(maxsize=8)
def pattern_of(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return a pattern that matches each of the secrets; None without one. A short secret matches as a whole word only."""
    parts = (
        re.escape(secret) if len(secret) >= 2 * LEAST else rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])"
        for secret in secrets
    )
    return re.compile("|".join(parts)) if secrets else None
