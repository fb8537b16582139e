"""A private key that never leaves its chip, which TLS asks by PKCS #11 to sign.

Source of the interface: OASIS "PKCS #11 Cryptographic Token Interface Base Specification"; the
runtime loads the vendor's module (awscrt, ``Pkcs11Lib``) and logs in with the PIN.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path  # noqa: TC003 - read by `config` from the hints
from typing import Any

from awscrt import io

from cedarfleet_device.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class HardwareKey:
    """Table ``[hardware_key]``: where the key is; empty: it is the file ``key_file``.

    Attributes:
        library: the vendor's PKCS #11 module, a shared object; None: the key is a file.
        token: label of the token; empty: there is but one.
        label: of the private key; empty: there is but one.
        pin_file: its first line is the user's PIN; mode 0600; None: the token asks for none, or
            has a way of its own.
    """

    library: Path | None = None
    token: str = ""
    label: str = ""
    pin_file: Path | None = None

    def tls_options(self, certificate: bytes) -> io.TlsContextOptions:
        """Mutual TLS with this key.

        Args:
            certificate: PEM of the device.

        Raises:
            ConfigError: the module cannot be loaded, or the PIN not be read.
        """
        pin = self._pin()
        module = _module(str(self.library))
        # The runtime takes None for what is not said, which its types do not know.
        said: dict[str, Any] = {
            "token_label": self.token or None,
            "private_key_label": self.label or None,
        }
        return io.TlsContextOptions.create_client_with_mtls_pkcs11(
            pkcs11_lib=module, user_pin=pin, cert_file_contents=certificate, **said
        )

    def _pin(self) -> str | None:
        if self.pin_file is None:
            return None
        try:
            mode = self.pin_file.stat().st_mode & 0o777
            text = self.pin_file.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"`hardware_key.pin_file` `{self.pin_file}` cannot be read by this process's user,"
                f" uid {os.geteuid()}: {error.strerror}"
            ) from error
        except ValueError as error:
            raise ConfigError(f"`hardware_key.pin_file` `{self.pin_file}` is no text") from error
        if mode & 0o077:  # fail closed: who reads it signs as this device
            raise ConfigError(
                f"`hardware_key.pin_file` `{self.pin_file}` has mode {mode:04o}, it must be 0600:"
                " chmod 600 it"
            )
        pin = (text.splitlines() or [""])[0].strip()
        if not pin:
            raise ConfigError(f"`hardware_key.pin_file` `{self.pin_file}` has no PIN in its line 1")
        return pin


@cache  # initialized once a process: a second C_Initialize of some vendors' modules fails
def _module(library: str) -> io.Pkcs11Lib:
    try:
        return io.Pkcs11Lib(file=library)
    except Exception as error:  # the runtime raises what the loader and the module bring about
        raise ConfigError(
            f"`hardware_key.library` `{library}` is no PKCS #11 module that can be loaded: {error}"
        ) from error
