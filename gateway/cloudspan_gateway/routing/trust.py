"""Which certificate an adapter must show for the platform tag that it claims, and why one is refused.

The table makes each instance's channel by it. An identity is a DNS name in the certificate: the only part of a
server's certificate that grpcio compares, with what the channel says it expects. So an impostor never gets a byte.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudspan_common import grpcs
from cloudspan_common.config import address
from cloudspan_common.errors import CloudspanError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc

    from cloudspan_common.registry import Instance

# What gRPC 1.85 says, and what that means; the texts are not an interface, so a test checks each of them.
_OTHER_NAME = "Hostname Verification Check failed"
_NO_TLS = "WRONG_VERSION_NUMBER"
_BAD_CERTIFICATE = ("CERTIFICATE_VERIFY_FAILED", "BAD_SIGNATURE", "TSI_PROTOCOL_FAILURE")
_HUNG_UP = "Socket closed"
_NAME_MISMATCH = 62  # X509_V_ERR_HOSTNAME_MISMATCH
_HANDSHAKE_S = 2.0


@dataclass(frozen=True, slots=True)
class Trust:
    """The gateway's certificate, and who may claim which platform; without `tls` everybody is believed."""

    tls: grpcs.Tls | None = None
    claims: Mapping[str, str] = field(default_factory=dict)
    """Identity by platform tag; a tag that is not here is its own identity."""

    def identity(self, platform: str) -> str:
        """Return the only identity that may claim `platform`."""
        return self.claims.get(platform, platform)

    def expected(self, platform: str) -> str:
        """Return the identity that a certificate is checked for; empty where none is asked for."""
        return self.identity(platform) if self.tls else ""

    def channel(self, instance: Instance, options: grpcs.Options) -> grpc.aio.Channel:
        """Return a channel that connects to nobody but who may claim the instance's platform."""
        if self.tls is None:
            return grpcs.new_channel(instance.address, options=options)
        expected = ("grpc.ssl_target_name_override", self.identity(instance.platform))
        return grpcs.new_channel(instance.address, self.tls, options=(*options, expected))

    async def unnamed(self, instance: Instance) -> str:
        """Return why an instance's certificate does not name it, as gRPC can't be told to see it; else an empty text.

        gRPC takes the common name of a certificate without subject alternative names for its identity. So the
        certificate is looked at by a handshake of its own, which knows alternative names alone.
        """
        if self.tls is None:
            return ""
        host, port = address(instance.address)
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                context = await asyncio.to_thread(self.tls.client_context)
                context.hostname_checks_common_name = False
                expected = self.identity(instance.platform)
                _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=expected)
        except ssl.SSLCertVerificationError as error:
            return self.refusal(instance.platform, _OTHER_NAME) if error.verify_code == _NAME_MISMATCH else ""
        except (OSError, TimeoutError, CloudspanError):
            return ""  # whatever it is, the call that comes next says it
        writer.close()
        return ""

    def refusal(self, platform: str, details: str) -> str:
        """Return why an instance is not trusted, by what gRPC said of a failed connection; empty for other failures."""
        if self.tls is None:
            return ""
        expected = self.identity(platform)
        if _OTHER_NAME in details:
            return (
                f"its certificate is not that of {expected!r}, who alone may claim platform {platform!r}; "
                f"give it that certificate, or configure --claim {platform}=IDENTITY"
            )
        if _NO_TLS in details:
            return "it speaks no TLS; start it with --tls-certificate, --tls-key and --tls-authority"
        if any(text in details for text in _BAD_CERTIFICATE):
            why = details.rpartition("SSL routines:")[2] or details
            return f"its certificate is not signed by the authority of this gateway, or is no longer valid ({why})"
        return ""

    def hint(self, details: str) -> str:
        """Return what a lost connection may mean when it is not the process that has died."""
        if _HUNG_UP not in details:
            return ""
        if self.tls is None:
            return "; if it goes on: does it want TLS? see --tls-certificate"
        return "; if it goes on: does it accept this gateway's certificate?"
