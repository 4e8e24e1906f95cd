"""Several writes as one transaction Bundle: how it is said, and how its answer is read."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence

import httpx

from gateway.plugin import EmrError, MaybeDone
from plugins.fhir import words
from plugins.fhir.declared import JSON_PATCH
from plugins.fhir.dialects.standard import Sending
from plugins.fhir.problems import resource, worst
from plugins.fhir.words import Json

CONDITIONS = {"If-Match": "ifMatch", "If-None-Exist": "ifNoneExist"}
"""What a header says of a write by itself, its entry says by another name."""


def encoded(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def transaction(sendings: Sequence[Sending], base_url: str) -> Json:
    listed = [_entry(sending, base_url) for sending in sendings]
    return {"resourceType": "Bundle", "type": "transaction", "entry": listed}


def _entry(sending: Sending, base_url: str) -> Json:
    """A patch is no resource, so it goes into one: a Binary."""
    conditions = {CONDITIONS[name]: said for name, said in sending.headers.items() if name in CONDITIONS}
    request = {"method": sending.method, "url": sending.path.removeprefix("/"), **conditions}
    if sending.media != JSON_PATCH:
        return {"resource": sending.body, "request": request}
    data = b64encode(encoded(sending.body)).decode()
    binary = {"resourceType": "Binary", "contentType": JSON_PATCH, "data": data}
    return {"fullUrl": base_url + sending.path, "resource": binary, "request": request}


def entries(response: httpx.Response, count: int) -> list[Json]:
    """What is told of each write, in their order.

    Raises MaybeDone where one of them is not told as done: an error that is told under a success says nothing of how
    far the server came. Raises ValueError where the answer is no Bundle.
    """
    try:
        body = resource(response) or {}
    except EmrError as error:
        raise MaybeDone("an error was told under a success", emr_code=error.emr_code) from error
    words.expect(body, "Bundle")
    listed = list(body.get("entry") or ())
    if len(listed) != count or not all(_is_done(entry.get("response") or {}) for entry in listed):
        raise MaybeDone("not every write of a transaction is told as done")
    return listed


def _is_done(told: Json) -> bool:
    return str(told.get("status", "")).startswith("2") and worst(told.get("outcome")) is None
