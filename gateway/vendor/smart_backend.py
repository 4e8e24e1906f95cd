"""SMART Backend Services: a token for a client that proves itself by its private key, never by a shared secret."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from gateway.clock import monotonic, now
from gateway.port import NotSent, Refused
from gateway.vendor.auth import Tokens
from gateway.vendor.login import Asking

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFE_S = 240
"""How long an assertion is good, in seconds: below the five minutes that are allowed, for clocks that differ."""

_RSA_BITS = 2048
_LETTERS = {"read": "rs", "write": "cud", "*": "cruds"}
"""SMART's permissions of version 1 in those of version 2."""


class SmartBackend(Tokens):
    """OAuth 2 client credentials with `private_key_jwt`, RS384 or ES384 as the key is.

    `base_url` is the FHIR server's: the token endpoint is discovered below it unless `token_url` says where it is.
    `scope` is what must be granted, whole. Raises ValueError for a key that is neither RSA nor EC P-384.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        private_key: SecretStr,
        scope: str,
        *,
        key_id: str | None = None,
        token_url: str | None = None,
        clock: Callable[[], float] = monotonic,
        today: Callable[[], datetime] = now,
    ) -> None:
        super().__init__(clock)
        self._base_url = base_url.rstrip("/")
        self._client_id = client_id
        self._key = _key(private_key)
        self._scope = scope
        self._key_id = key_id
        self._told_url = token_url
        self._today = today
        self._found_url: str | None = None

    def __repr__(self) -> str:
        return f"SmartBackend({self._client_id!r})"

    def asking(self, request: httpx.Request) -> Asking:
        url = self._told_url or self._found_url
        if url is None:
            place = f"{self._base_url}/.well-known/smart-configuration"
            url = self._endpoint((yield self.beside(request, "GET", place)))
        form = {
            "grant_type": "client_credentials",
            "scope": self._scope,
            "client_assertion_type": ASSERTION,
            "client_assertion": self._assertion(url),
        }
        self._found_url = None  # a refused or lost request is a reason to look again where the endpoint is
        answer = yield self.beside(request, "POST", url, data=form)
        if answer.is_success:
            granted = answer.json().get("scope")
            if isinstance(granted, str) and not covers(granted, self._scope):
                raise Refused("credentials", "no login: less was granted than the account's scope")
            self._found_url = url
        return answer

    def _endpoint(self, answer: httpx.Response) -> str:
        if answer.status_code != 200:
            raise NotSent(f"no login: the SMART configuration was answered with {answer.status_code}")
        url = answer.json().get("token_endpoint")
        safe = ("https://",) if self._base_url.startswith("https://") else ("https://", "http://")
        if not isinstance(url, str) or not url.startswith(safe):
            raise NotSent("no login: the SMART configuration names no token endpoint that can be used")
        return url

    def _assertion(self, audience: str) -> str:
        """A JWT (RFC 7523) that is good once, for this endpoint, for a few minutes."""
        key_id = {} if self._key_id is None else {"kid": self._key_id}
        rs = isinstance(self._key, rsa.RSAPrivateKey)
        head = {"alg": "RS384" if rs else "ES384", "typ": "JWT", **key_id}
        at = int(self._today().timestamp())
        who = {"iss": self._client_id, "sub": self._client_id, "aud": audience}
        said = f"{_part(head)}.{_part({**who, 'iat': at, 'exp': at + LIFE_S, 'jti': secrets.token_urlsafe(24)})}"
        return f"{said}.{_encoded(_signature(self._key, said.encode()))}"


Permission = tuple[str, str, frozenset[str]]
"""Context, resource type and letters of a scope like `system/Slot.rs`; of any other its text, "" and none."""


def covers(granted: str, wanted: str) -> bool:
    """Does a grant hold every wanted scope, whichever of SMART's two ways of writing permissions it is told in?"""
    told = [_permission(scope) for scope in granted.split()]
    return all(_allowed(told, must) for must in map(_permission, wanted.split()))


def _allowed(told: Sequence[Permission], must: Permission) -> bool:
    """All letters by one permission or by several together: some servers tell `.cruds` as `.rs` and `.cud`."""
    context, kind, letters = must
    may = [one[2] for one in told if one[0] == context and one[1] in (kind, "*")]
    return bool(may) and letters <= frozenset[str]().union(*may)


def _permission(scope: str) -> Permission:
    context, _, rest = scope.partition("/")
    kind, dot, letters = rest.partition(".")
    if not dot or "?" in letters or context not in ("system", "user", "patient"):
        return (scope, "", frozenset())
    return (context, kind, frozenset(_LETTERS.get(letters, letters)))


# -- signing ----------------------------------------------------------------------------------------------------------


def _key(pem: SecretStr) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem.get_secret_value().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("not an unencrypted private key in PEM") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1):
        return key
    raise ValueError(f"the key must be RSA of {_RSA_BITS} bits or more, or EC P-384")


def _signature(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, said: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(said, padding.PKCS1v15(), hashes.SHA384())
    r, s = decode_dss_signature(key.sign(said, ec.ECDSA(hashes.SHA384())))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")  # RFC 7518 §3.4: not ASN.1


def _part(told: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(told, separators=(",", ":")).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
