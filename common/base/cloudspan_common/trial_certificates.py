"""Certificates for trying out: an authority of one's own and a certificate per identity, as `make certs` writes them.

    python -m cloudspan_common.trial_certificates .state/certs gateway.cloudspan memory openstack

An installation that matters has an authority already: what it must put into a certificate is the identity as a DNS
name. Needs the distribution `cryptography`, which development has.
"""

from __future__ import annotations

import argparse
import datetime as dt
import ipaddress
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY = "authority"
DAYS = 90
# Each is also good for a call straight to this machine.
_HERE = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, name: str = "Cloudspan trial authority", days: int = DAYS) -> Authority:
        """Make one that nobody else has."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(name)
        builder = _builder(subject, key, subject, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs=True), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def read(cls, folder: Path) -> Authority:
        """Return the one that was written there."""
        key = serialization.load_pem_private_key((folder / f"{AUTHORITY}.key").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{folder / AUTHORITY}.key was not made by this command; empty the folder and run it again")
        return cls(x509.load_pem_x509_certificate((folder / f"{AUTHORITY}.pem").read_bytes()), key)

    def write(self, folder: Path) -> None:
        """Write its certificate, which everybody needs, and its key, which only this program needs."""
        _write(folder, AUTHORITY, self.certificate, self.key)

    def issue(self, identity: str, folder: Path, days: int = DAYS, *, names: bool = True) -> None:
        """Write certificate and key of `identity`, for both ends of a connection.

        Without `names` the identity is its common name alone, which counts for nothing (RFC 9525, section 2).
        """
        key = ec.generate_private_key(ec.SECP256R1())
        ends = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = _builder(_named(identity), key, self.certificate.subject, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(self._signer(), critical=False)
        if names:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(identity), *_HERE])
            builder = builder.add_extension(alternatives, critical=False)
        builder = builder.add_extension(_usage(signs=False), critical=True).add_extension(ends, critical=False)
        _write(folder, identity, builder.sign(self.key, hashes.SHA256()), key)

    def _signer(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Machines' clocks differ.
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _write(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _replace(folder / f"{name}.key", key.private_bytes(*form), mode=0o600)
    _replace(folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    """At once: a process that reads its files anew must not meet half of one."""
    new = path.with_suffix(path.suffix + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    new.replace(path)


def main(words: list[str] | None = None) -> None:
    """Write what is asked for; an authority that is there already goes on signing."""
    parser = argparse.ArgumentParser(prog="python -m cloudspan_common.trial_certificates", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the PEM files are written")
    parser.add_argument("identity", nargs="+", help="who gets a certificate: gateway.cloudspan, or a platform's tag")
    parser.add_argument("--days", type=int, default=DAYS, help="for how many days they are valid (%(default)s)")
    arguments = parser.parse_args(words)
    if not (arguments.folder / f"{AUTHORITY}.key").exists():
        Authority.new(days=arguments.days).write(arguments.folder)
    authority = Authority.read(arguments.folder)
    for identity in arguments.identity:
        authority.issue(identity, arguments.folder, arguments.days)
        sys.stdout.write(f"{arguments.folder / identity}.pem\n")


if __name__ == "__main__":
    main()
