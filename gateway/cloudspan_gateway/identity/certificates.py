"""Callers by their client certificates (`--auth mtls`), which gRPC has verified against `--tls-authority`.

A DNS name in the certificate is an identity, as it is between gateway and adapters; a common name is none (RFC 9525).
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.errors import Unauthenticated
from cloudspan_gateway.access.principal import Method, Principal
from cloudspan_gateway.call import Certificate
from cloudspan_gateway.identity.config import MTLS

if TYPE_CHECKING:
    from cloudspan_gateway.call import Call

_MAX_NAMES = 32
_MAX_NAME = 253
# Lower case, and no wildcard: that is a certificate of whoever may serve a zone, not of one caller.
_DNS_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
# It says where a process runs, and stands in certificates of many.
_NOBODY = "localhost"


@functools.lru_cache(maxsize=1024)
def read_certificate(pem: bytes) -> Certificate:
    """Return what a verified certificate says; connections of the same caller show the same bytes.

    Its `names` are empty when it has no DNS name that can be an identity.

    Raises:
        ValueError: It is not a certificate, which a verified one always is.
    """
    # 2 MB, which a gateway that asks for no certificates does without.
    from cryptography import x509  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - see above

    certificate = x509.load_pem_x509_certificate(pem)
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [name.lower() for name in alternatives.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        found = []
    good = (name for name in found if name != _NOBODY and len(name) <= _MAX_NAME and _DNS_NAME.fullmatch(name))
    return Certificate(
        tuple(dict.fromkeys(good))[:_MAX_NAMES],
        certificate.fingerprint(hashes.SHA256()).hex(),
        certificate.not_valid_after_utc.timestamp(),
    )


class CertificateAuthenticator:
    """Asked for calls without any other credential."""

    name = MTLS

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()

    def __repr__(self) -> str:
        return "<CertificateAuthenticator>"

    async def authenticate(self, call: Call) -> Principal | None:
        """Return whose certificate the connection has.

        Raises:
            Unauthenticated: It has no DNS name, or has ended since the connection was opened.
        """
        shown = call.certificate()
        if shown is None:
            return None
        if not shown.names:
            text = (
                "the client certificate has no DNS name among its subject alternative names, so it says nothing of who "
                "the caller is; use one that has, or send metadata `authorization: Bearer TOKEN`"
            )
            raise Unauthenticated(text)
        if shown.expire_time <= self._clock.now():
            raise Unauthenticated("the client certificate has expired since its connection was opened; connect again")
        first, *others = (f"certificates/{name}" for name in shown.names)
        return Principal(
            first,
            Method.METHOD_CERTIFICATE,
            f"certificate/{shown.fingerprint}",
            aliases=tuple(others),
            expire_time=shown.expire_time,
        )
