"""The body of a request: what is taken for JSON, and how much of it is read."""

from __future__ import annotations

import re

from starlette.requests import Request

from gateway.domain.errors import PayloadTooLarge, UnsupportedMediaType
from gateway.wire.reading import MAX_BODY

_JSON = re.compile(r"application/(?:[!#$&^_.+a-z0-9-]+\+)?json")
_FORM = "application/x-www-form-urlencoded"
"""What `curl --data-raw` says unless it is told otherwise."""
_CHARSET = re.compile(r"\s*charset\s*=\s*(\"?)utf-?8\1\s*", re.IGNORECASE)


async def read_body(request: Request) -> bytes:
    """At most 1 MiB of JSON. Raises UnsupportedMediaType, PayloadTooLarge."""
    _check_type(request)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > MAX_BODY):
        raise _too_large()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise _too_large()
    return bytes(body)


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge("The body must not be longer than 1 MiB.")


def _check_type(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    types = request.headers.getlist("content-type")
    if encoding != "identity" or len(types) > 1:
        raise _not_json()
    if not types or not types[0].strip():
        return
    media_type, *parameters = types[0].split(";")
    name = media_type.strip().lower()
    charsets = [p for p in parameters if p.strip().lower().startswith("charset")]
    if not (name == _FORM or _JSON.fullmatch(name)) or not all(map(_CHARSET.fullmatch, charsets)):
        raise _not_json()


def _not_json() -> UnsupportedMediaType:
    return UnsupportedMediaType("The body must be JSON in UTF-8, and not compressed.")
