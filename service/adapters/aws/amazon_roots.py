"""Amazon's root certificates, which sign the endpoints of AWS IoT Core.

Devices should trust all of them: "Amazon Root CA 1" to 4 (source: AWS IoT developer guide, "CA
certificates for server authentication"). They stand in Mozilla's bundle, which botocore brings.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import botocore

_ROOT: Final = re.compile(
    r"# Subject: CN=Amazon Root CA \d+ [^-]*"
    r"(?P<pem>-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n)"
)


def amazon_roots() -> str:
    """The roots as PEM.

    Raises:
        ValueError: the bundle has none.
    """
    bundle = (Path(botocore.__file__).parent / "cacert.pem").read_text(encoding="utf-8")
    roots = [match["pem"] for match in _ROOT.finditer(bundle)]
    if not roots:
        raise ValueError("no `Amazon Root CA ...` in botocore's bundle")
    return "".join(roots)
