"""The authorities that the processes of tests trust where they are told of none: nobody."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    import pytest


def know_no_authorities(config: pytest.Config) -> None:
    """Have one authority that vouches for nobody stand for the system's, which are read so often.

    Hundreds of processes and clients would read them all, 20 ms each, and all speak to this machine
    alone: who needs an authority names its file. Whoever is told of none trusts nobody.
    """
    folder = Path(tempfile.mkdtemp(prefix="cedarfleet-authorities-"))
    config.add_cleanup(lambda: shutil.rmtree(folder))
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")]), datetime.now(UTC)
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now,
        not_valid_after=now + timedelta(days=1),
    )
    own = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    file = folder / "nobody.pem"
    file.write_bytes(own.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    # Workers of xdist and the processes of tests inherit it (source: OpenSSL, `SSL_CERT_FILE`).
    os.environ["SSL_CERT_FILE"] = str(file)
