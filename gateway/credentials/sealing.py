"""The inner seal of credentials, for which a client's secret is needed. The outer one is the gateway's key.

Each account has a data key, which seals its credentials. The data key itself is sealed once for each secret of the
client, so that a secret can be replaced while the old one is still in use, and no credential is touched by that.

What is sealed for a secret, version 1: version, derivation (1: HKDF, 2: argon2id then HKDF), salt, nonce, AES-256-GCM.
"""

from __future__ import annotations

import secrets

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.keys import Altered, framed

_VERSION = 1
_PLAIN, _STRETCHED = 1, 2
_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES = 16, 12, 16
_HEAD_BYTES = 2 + _SALT_BYTES
_PASSES, _KIBIBYTES, _LANES = 3, 65536, 4
"""Of argon2id (RFC 9106 §4, its second recommendation). They belong to derivation 2 and are never changed."""


def new_data_key() -> bytes:
    return secrets.token_bytes(32)


def for_secret(data_key: bytes, secret: str, place: bytes, *, chosen: bool) -> bytes:
    """The data key, opened with this secret only. `chosen`: by a person, so that it might be guessed."""
    head = bytes([_VERSION, _STRETCHED if chosen else _PLAIN]) + secrets.token_bytes(_SALT_BYTES)
    return head + _sealed(_derived(secret, head), data_key, head + place)


def by_secret(sealed: bytes, secret: str, place: bytes) -> bytes | None:
    """The data key; `None`: it was not sealed for this secret. Raises `Altered` for what is no such thing."""
    head = sealed[:_HEAD_BYTES]
    if len(head) < _HEAD_BYTES or head[0] != _VERSION or head[1] not in (_PLAIN, _STRETCHED):
        raise Altered("This is not a sealed data key of a version known here.")
    return _opened(_derived(secret, head), sealed[_HEAD_BYTES:], head + place)


def seal(data_key: bytes, plain: bytes, place: bytes) -> bytes:
    return bytes([_VERSION]) + _sealed(_expanded(data_key, b"", b"credentials"), plain, place)


def opened(data_key: bytes, sealed: bytes, place: bytes) -> bytes:
    """Raises `Altered`, also for another data key."""
    plain = None
    if sealed[:1] == bytes([_VERSION]):
        plain = _opened(_expanded(data_key, b"", b"credentials"), sealed[1:], place)
    if plain is None:
        raise Altered("A credential is damaged, or its data key is another one.")
    return plain


def _derived(secret: str, head: bytes) -> bytes:
    salt, told = head[2:], secret.encode("utf-8", "surrogatepass")
    if head[1] == _STRETCHED:
        told = hash_secret_raw(told, salt, _PASSES, _KIBIBYTES, _LANES, 32, Type.ID)
    return _expanded(told, salt, b"client secret")


def _expanded(material: bytes, salt: bytes, purpose: bytes) -> bytes:
    info = framed(b"emr-gateway credentials") + framed(purpose)
    return HKDF(algorithm=SHA256(), length=32, salt=salt or None, info=info).derive(material)


def _sealed(key: bytes, plain: bytes, place: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, place)


def _opened(key: bytes, sealed: bytes, place: bytes) -> bytes | None:
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        return None
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
    except InvalidTag:
        return None
