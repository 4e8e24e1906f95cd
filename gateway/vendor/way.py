"""The way of an account's requests to its EMR: whom they trust, by what they prove themselves, through which proxy."""

from __future__ import annotations

import base64
import secrets
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from urllib.parse import unquote, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import Certificate, load_pem_x509_certificates
from yarl import URL


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What an account's connections are made with beyond the system's defaults, in PEM. Can be used if `mistakes`
    finds none."""

    ca: str | None = None
    """The certificates that are trusted, instead of the system's."""
    certificate: str | None = None
    """What the gateway shows of itself: its own certificate, then those between it and what the EMR trusts."""
    private_key: str | None = field(default=None, repr=False)
    key_password: str | None = field(default=None, repr=False)

    def mistakes(self) -> Iterator[str]:
        """Sentences, each led by the setting that it is about; nothing of a value is shown."""
        found = [*self._own_mistakes(), *self._trust_mistakes()]
        yield from found
        if not found:
            try:
                self.context()
            except OSError as error:  # OpenSSL's errors are of this kind, too
                why = getattr(error, "reason", None) or error.strerror or type(error).__name__
                yield f"certificate or ca can't be used here ({why})"

    def context(self) -> ssl.SSLContext:
        """A new one. Raises OSError for what OpenSSL refuses, such as a key that is too short."""
        if self.ca is None:
            context = ssl.create_default_context()
        else:
            trusted = (one.public_bytes(Encoding.DER) for one in _certificates(self.ca))
            context = ssl.create_default_context(cadata=b"".join(trusted))
            # What is named is trusted, also where it is not a root.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.set_alpn_protocols(["http/1.1"])
        if self.certificate is not None and self.private_key is not None:
            _load(context, self.certificate, _key(self.private_key, self.key_password))
        return context

    def _trust_mistakes(self) -> Iterator[str]:
        if self.ca is not None and not _certificates(self.ca):
            yield "ca holds no readable certificate in PEM"
        if self == Tls():
            yield "ca is missing, and certificate with private_key; give the one or the other"

    def _own_mistakes(self) -> Iterator[str]:
        if self.certificate is None or self.private_key is None:
            if (self.certificate, self.private_key, self.key_password) != (None, None, None):
                yield "certificate and private_key go together; give both"
            return
        own = _certificates(self.certificate)
        if not own:
            yield "certificate holds no readable certificate in PEM"
        try:
            key = _key(self.private_key, self.key_password)
        except ValueError as error:
            yield f"private_key {error}"
        else:
            if own and not _fits(own[0], key):
                yield "private_key does not fit the certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy: requests to `https` addresses pass through a tunnel (CONNECT), others are handed to it."""

    address: str
    """`http://host:port`, without credentials."""
    authorization: str | None = field(default=None, repr=False)
    """The value of `Proxy-Authorization`."""

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """`http://host:port` or `http://user:password@host:port`. Raises ValueError with a sentence."""
        try:
            parts = urlsplit(url)
            port = parts.port
            address = URL.build(scheme="http", host=parts.hostname or "", port=port)
        except ValueError:
            raise ValueError(_PROXY_FORM) from None
        if parts.scheme in ("https", "socks4", "socks4a", "socks5", "socks5h"):
            raise ValueError(f"{_PROXY_FORM}; SOCKS, and TLS to the proxy itself, are not spoken")
        rest = parts.path.strip("/") + parts.query + parts.fragment
        if parts.scheme != "http" or not address.host or not port or rest or any(c.isspace() for c in url):
            raise ValueError(_PROXY_FORM)
        return cls(address=str(address), authorization=_basic(parts.username, parts.password))


_PROXY_FORM = "should be http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Accounts of the same way share their connections."""

    tls: Tls | None = None
    proxy: Proxy | None = None


DIRECT = Way()


def _basic(user: str | None, password: str | None) -> str | None:
    if user is None:
        return None
    name = unquote(user)
    if ":" in name:
        raise ValueError("has a user with a colon in it, which HTTP Basic can't say")
    return "Basic " + base64.b64encode(f"{name}:{unquote(password or '')}".encode()).decode()


def _certificates(pem: str) -> list[Certificate]:
    """None where there is nothing, or where something in it is broken."""
    try:
        return load_pem_x509_certificates(pem.encode())
    except ValueError:
        return []


def _fits(certificate: Certificate, key: PrivateKeyTypes) -> bool:
    try:
        return certificate.public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm):  # a kind of key that nothing here can use
        return False


def _key(pem: str, password: str | None) -> PrivateKeyTypes:
    """Raises ValueError, which says why not in words that follow on the setting's name."""
    try:
        return load_pem_private_key(pem.encode(), None if password is None else password.encode())
    except TypeError:
        why = "is encrypted; give its key_password" if password is None else "is not encrypted; leave out key_password"
    except (ValueError, UnsupportedAlgorithm):
        why = "is no private key in PEM" if password is None else "is no private key in PEM that key_password opens"
    raise ValueError(why)


def _load(context: ssl.SSLContext, certificate: str, key: PrivateKeyTypes) -> None:
    """`ssl` takes a key from a file only: what is in it is sealed with a password that nobody will have again."""
    once = secrets.token_bytes(32).hex()
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(once.encode()))
    with NamedTemporaryFile() as file:
        file.write(certificate.encode() + b"\n" + sealed)
        file.flush()
        context.load_cert_chain(file.name, password=once)
