"""One master key and all that is derived from it: keyed hashes to search by, and sealing at rest."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
_ID_BYTES = 4
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEAD_BYTES = 1 + _ID_BYTES + _NONCE_BYTES
_FORMER = "former-keys"


class BadKey(ValueError):
    """A master key could not be read. The text never shows what was found."""


class WrongKey(Exception):
    """Something was sealed with another master key than the present one."""


class Altered(Exception):
    """A sealed value is damaged, or stands in another place than the one it was sealed for."""


class Keys:
    """Keys by purpose, each derived (HKDF-SHA256) from one 32-byte master: none says anything of another.

    Sealing is AES-256-GCM with random nonces, good for 2^32 values per purpose. Where a master took the place of
    others (`former`, the last one first), it opens what they have sealed, and hashes are still made by the oldest of
    them: a hash can't be made anew, and a repeated request must be known again.
    """

    __slots__ = ("_boxes", "_hashes", "_id", "_masters")

    def __init__(self, master: bytes, former: Sequence[bytes] = ()) -> None:
        if len(master) != 32:
            raise BadKey(f"A master key has 32 bytes, this one has {len(master)}.")
        self._masters = {_id(one): one for one in (master, *former)}
        self._id = _id(master)
        self._hashes: dict[str, bytes] = {}
        self._boxes: dict[tuple[bytes, str], AESGCM] = {}

    @classmethod
    def load(cls, reference: str) -> Keys:
        """From `env:NAME` or `file:PATH`; neither is created. Raises `BadKey`."""
        kind, _, where = reference.partition(":")
        if kind == "file" and where:
            return cls.from_file(Path(where), create=False)
        if kind != "env" or not where:
            raise BadKey("A master key is referred to as env:NAME or file:PATH.")
        if where not in os.environ:
            raise BadKey(f"The environment has no {where}.")
        return cls(_decode(os.environ[where], f"The environment's {where}"))

    @classmethod
    def from_file(cls, path: Path, create: bool = True) -> Keys:
        """From a file of hex or base64url text; made (0600, whole or not at all) where there is none.

        Raises `BadKey`.
        """
        if create and not path.exists():
            _create(path)
        try:
            text = path.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise BadKey(f"The key file {path} can't be read ({type(error).__name__}).") from None
        return cls(_decode(text, f"The key file {path}"))

    @property
    def id(self) -> str:
        """By which a key is told from another; it says nothing else of it."""
        return self._id.hex()

    def follows(self, other: Keys) -> bool:
        """Did this key take the place of `other`?"""
        return other._id != self._id and other._id in self._masters

    def after(self, former: Keys) -> Self:
        """This key in the place of `former`. Raises `BadKey` for one that was in use before."""
        if self._id in former._masters:
            raise BadKey("This master key is, or was, in use already; make another one.")
        return type(self)(self._masters[self._id], list(former._masters.values()))

    def seal_former(self) -> bytes:
        """The keys whose place this one took, for nobody but itself (see `with_former`)."""
        former = b"".join(key for id, key in self._masters.items() if id != self._id)
        return self.seal(_FORMER, former, _FORMER.encode())

    def with_former(self, sealed: bytes) -> Self:
        """Raises `WrongKey` or `Altered`."""
        former = self.open(_FORMER, sealed, _FORMER.encode())
        return type(self)(self._masters[self._id], [former[n : n + 32] for n in range(0, len(former), 32)])

    def hmac(self, purpose: str, *parts: bytes | str) -> str:
        """A keyed hash as 64 hex digits. Where one part ends and the next begins counts."""
        key = self._hashes.get(purpose)
        if key is None:
            oldest = list(self._masters.values())[-1]
            key = self._hashes[purpose] = _derived(oldest, "hmac", purpose)
        return hmac.digest(key, b"".join(map(framed, parts)), "sha256").hex()

    def seal(self, purpose: str, plaintext: bytes, bound_to: bytes) -> bytes:
        """Encrypt; opened only with the same key, purpose and `bound_to` (the place where it is kept)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        head = _VERSION + self._id + nonce
        return head + self._box(self._id, purpose).encrypt(nonce, plaintext, bound_to)

    def knows(self, sealed: bytes) -> bool:
        """Was it sealed with this key, or with one whose place it took?"""
        return sealed[1 : 1 + _ID_BYTES] in self._masters

    def open(self, purpose: str, sealed: bytes, bound_to: bytes) -> bytes:
        """What `seal` was given. Raises `WrongKey` or `Altered`."""
        if len(sealed) < _HEAD_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
            raise Altered("This is not a sealed value of a version known here.")
        if not self.knows(sealed):
            raise WrongKey("This was sealed with another master key than the one that is configured now.")
        try:
            nonce = sealed[_HEAD_BYTES - _NONCE_BYTES : _HEAD_BYTES]
            return self._box(sealed[1 : 1 + _ID_BYTES], purpose).decrypt(nonce, sealed[_HEAD_BYTES:], bound_to)
        except InvalidTag:
            raise Altered("A sealed value is damaged or does not belong where it was found.") from None

    @staticmethod
    def same(a: bytes | str, b: bytes | str) -> bool:
        """Equality that takes as long for a near miss as for a far one."""
        return hmac.compare_digest(_encoded(a), _encoded(b))

    def __repr__(self) -> str:
        return "<Keys>"

    def _box(self, id: bytes, purpose: str) -> AESGCM:
        box = self._boxes.get((id, purpose))
        if box is None:
            box = self._boxes[id, purpose] = AESGCM(_derived(self._masters[id], "seal", purpose))
        return box


def _derived(master: bytes, use: str, purpose: str) -> bytes:
    info = b"".join(map(framed, ("emr-gateway", use, purpose)))
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(master)


def _id(master: bytes) -> bytes:
    return _derived(master, "id", "")[:_ID_BYTES]


def _encoded(part: bytes | str) -> bytes:
    # JSON can carry lone surrogates: an id made of them is still an id.
    return part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part


def framed(part: bytes | str) -> bytes:
    """A part that can be told from what follows it."""
    data = _encoded(part)
    return len(data).to_bytes(8, "big") + data


def _decode(text: str, where: str) -> bytes:
    compact = text.strip()
    try:
        if len(compact) == 64:
            return bytes.fromhex(compact)
        master = base64.b64decode(compact.rstrip("=") + "=", altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        master = b""
    if len(master) != 32:
        raise BadKey(f"{where} does not hold a master key: 32 bytes as hex or base64url.")
    return master


def _create(path: Path) -> None:
    """A link appears whole or not at all, and never over a key that another process made meanwhile."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        _link(draft, path)
        sync_directory(path.parent)
    except OSError as error:
        raise BadKey(f"The key file {path} can't be created ({type(error).__name__}).") from None
    finally:
        draft.unlink(missing_ok=True)


def _link(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return


def sync_directory(path: Path) -> None:
    """Make the directory's entries durable: a file that was just created survives a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
