"""Certificates for trying out: one authority, to which identities are added."""

from __future__ import annotations

import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from cloudspan_common import trial_certificates


@pytest.fixture
def folder(tmp_path):
    """What the program wrote for a gateway and one adapter."""
    trial_certificates.main([str(tmp_path / "certs"), "gateway.cloudspan", "memory"])
    return tmp_path / "certs"


def _certificate(folder, name):
    return x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())


def test_an_identity_is_a_dns_name_beside_those_of_this_machine(folder):
    """What a gateway compares, and what lets a person call it here."""
    names = _certificate(folder, "memory").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["memory", "localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_an_identity_added_later_is_signed_by_the_same_authority(folder):
    """Those that were there stay good."""
    before = (folder / "authority.pem").read_bytes(), (folder / "memory.pem").read_bytes()
    trial_certificates.main([str(folder), "acme"])
    assert before == ((folder / "authority.pem").read_bytes(), (folder / "memory.pem").read_bytes())
    _certificate(folder, "acme").verify_directly_issued_by(_certificate(folder, "authority"))


def test_keys_are_for_their_owner_alone_and_nothing_half_written_is_left(folder):
    """Mode 0600, whatever the umask lets others have."""
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    names = ("authority", "gateway.cloudspan", "memory")
    assert {name: mode for name, mode in found.items() if name.endswith(".key")} == {f"{n}.key": 0o600 for n in names}
    assert found.keys() == {f"{name}.{kind}" for name in names for kind in ("key", "pem")}


def test_a_folder_with_an_authority_of_another_kind_is_refused(folder):
    """It says what to do."""
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "authority.key").write_bytes(ed25519.Ed25519PrivateKey.generate().private_bytes(*form))
    with pytest.raises(TypeError, match="empty the folder"):
        trial_certificates.main([str(folder), "acme"])
