"""Critical files, whose faults would hurt a tenant or a device, and the tests that see them."""

from __future__ import annotations

from typing import Final

CRITICAL: Final[dict[str, tuple[str, ...]]] = {
    "service/domain/documents.py": ("tests/service/domain/test_documents.py",),
}

# file -> mutant's key -> why no test can see it: what it does is the same
EQUIVALENT: Final[dict[str, dict[str, str]]] = {}
