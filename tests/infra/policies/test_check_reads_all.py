"""``python -m infra policies check`` passes over nothing that stands in the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from infra.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

# What somebody does to the files (path below `tenants/` -> text, or a pair to replace; nothing: it
# goes), and what is said of it.
UNREAD: Final[dict[str, tuple[dict[str, str | bytes | tuple[str, str]], str]]] = {
    "policies of no tenant": (
        {"Pulumi.globex.yaml": ("    policies: globex/policies\n", "")},
        (
            "tenants/globex/policies: no tenant has these policies: tenants/Pulumi.globex.yaml "
            "lacks `policies: globex/policies`"
        ),
    ),
    "another ending": (
        {"Pulumi.initech.yml": "config: {}"},
        (
            "tenants/Pulumi.initech.yml: nobody reads it: the name of a stack's file is "
            "Pulumi.<stack>.yaml"
        ),
    ),
    "a key of the project": (
        {"Pulumi.globex.yaml": ("  aws:region:", "  cedarfleet:tennant: {}\n  aws:region:")},
        (
            "tenants/Pulumi.globex.yaml: config.cedarfleet:tennant: unknown key; did you mean "
            "`cedarfleet:tenant`? Known are aws:region, cedarfleet:tenant"
        ),
    ),
    "a key of the file": (
        {"Pulumi.globex.yaml": ("config:\n", "encryptionsalts: x\nconfig:\n")},
        (
            "tenants/Pulumi.globex.yaml: encryptionsalts: unknown key; did you mean "
            "`encryptionsalt`? Known are config, encryptedkey, encryptionsalt, environment, "
            "secretsprovider"
        ),
    ),
    "the platform's key": (
        {"Pulumi.platform.yaml": ("    tasks_max: 10", "    tasks_max: 1")},
        (
            "tenants/Pulumi.platform.yaml: cedarfleet:platform.tasks_max: must be at least "
            "tasks_min (2), is 1"
        ),
    ),
    "the platform's canary": (
        {"Pulumi.platform.yaml": ("[acme, globex]", "[acme, globx]")},
        (
            "tenants/Pulumi.platform.yaml: cedarfleet:platform.isolation_canary[1]: `globx` has no "
            "file; did you mean `globex`? There are acme, globex"
        ),
    ),
    "another cell": (
        {"Pulumi.globex.yaml": ("    regions:", "    cell: two\n    regions:")},
        (
            "tenants/Pulumi.globex.yaml: cedarfleet:tenant.cell: the platform of "
            "tenants/Pulumi.platform.yaml is cell `one`, the file asks for `two`"
        ),
    ),
    "an action of no command": (
        {"Pulumi.globex.yaml": ("self-test: MaintainDevice", "self-test: Maintain")},
        (
            "tenants/Pulumi.globex.yaml: cedarfleet:tenant.commands.self-test: `Maintain` is no "
            "action of a command; did you mean `MaintainDevice`? There are MaintainDevice, "
            "OperateDevice, SetParameters, StopDevice"
        ),
    ),
    "a policy of another encoding": (
        {"globex/policies/mine.cedar": "// Wards.\n// \xe9".encode("latin-1")},
        "tenants/globex/policies/mine.cedar:2: is not UTF-8: save it as UTF-8",
    ),
    "a byte order mark": (
        {"globex/policies/mine.cedar": "\N{BYTE ORDER MARK}// Wards."},
        (
            "tenants/globex/policies/mine.cedar:1: begins with a byte order mark: save it as UTF-8 "
            "without one"
        ),
    ),
    "a file of another encoding": (
        {"Pulumi.globex.yaml": "config: {}\n# \xe9".encode("latin-1")},
        "tenants/Pulumi.globex.yaml:2: is not UTF-8: save it as UTF-8",
    ),
    "no action": (
        {
            "globex/policies/mine.cedar": '// Why.\n@id("mine")\npermit (\n  principal in '
            'Fleet::Group::"managers",\n  action in [],\n  resource\n);\n'
        },
        "tenants/globex/policies/mine.cedar:3: empty set literals are forbidden in policies",
    ),
}


@pytest.mark.parametrize("name", UNREAD)
def test_check_names_what_nobody_would_read(
    files: Path, capsys: pytest.CaptureFixture[str], name: str
):
    """What would silently not count, or end the check in the middle, is told with its place."""
    changes, words = UNREAD[name]
    for path, change in changes.items():
        file = files / "tenants" / path
        match change:
            case bytes():
                file.write_bytes(change)
            case str():
                file.write_text(change, encoding="utf-8")
            case was, becomes:
                assert was in file.read_text(encoding="utf-8")
                file.write_text(file.read_text(encoding="utf-8").replace(was, becomes, 1))
    assert main(["policies", "check"], root=files) == 1
    assert words in capsys.readouterr().err.splitlines()
