"""A private nginx that serves one folder over HTTP and TLS from memory, for benchmarks."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Self

from tests.device_sdk.downloads.self_signed import make_certificate

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

HOW_TO_GET = "needs nginx: apt-get install nginx-light"

_CONFIGURATION = """
daemon off;
{user}
worker_processes 2;
error_log {home}/error.log crit;
pid {home}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 100000;
    client_body_temp_path {home}/tmp1; proxy_temp_path {home}/tmp2; fastcgi_temp_path {home}/tmp3;
    uwsgi_temp_path {home}/tmp4; scgi_temp_path {home}/tmp5;
    types {{ }} default_type application/octet-stream;
    ssl_certificate {home}/certificate.pem;
    ssl_certificate_key {home}/key.pem;
    ssl_protocols TLSv1.3;
    server {{
        listen 127.0.0.1:{http_port};
        listen 127.0.0.1:{tls_port} ssl;
        root {root};
    }}
}}
"""


def find() -> str | None:
    """The nginx program, also where only root's PATH has it."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@dataclass(kw_only=True)
class Nginx:
    """Serves ``root`` while the context is open.

    Attributes:
        root: folder of the files.
        home: folder for configuration, certificate and logs.
    """

    root: Path
    home: Path

    def __enter__(self) -> Self:
        """Start and wait until it accepts.

        Raises:
            FileNotFoundError: no nginx here.
            TimeoutError: it did not start; the message has its words.
        """
        program = find()
        if program is None:
            raise FileNotFoundError(HOW_TO_GET)
        self.http_port, self.tls_port = _free_port(), _free_port()
        self.home.mkdir(parents=True, exist_ok=True)
        make_certificate(self.home)
        configuration = self.home / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                home=self.home,
                root=self.root,
                http_port=self.http_port,
                tls_port=self.tls_port,
                user="user root;"
                if os.geteuid() == 0
                else "",  # else its workers may not read our private folder
            )
        )
        self._process = subprocess.Popen(
            [
                program,
                "-c",
                str(configuration),
                "-p",
                str(self.home),
                "-e",
                str(self.home / "error.log"),
            ],
            stderr=subprocess.PIPE,
        )
        until = monotonic() + 10
        while not _accepts(self.tls_port):
            if self._process.poll() is not None or monotonic() > until:
                self._process.kill()
                words = self._process.communicate()[1].decode()
                raise TimeoutError(f"nginx did not start: {words[-500:]}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self._process.terminate()
        self._process.communicate()

    @property
    def ca_file(self) -> Path:
        """The certificate, which signs itself."""
        return self.home / "certificate.pem"

    def origin(self, *, tls: bool) -> str:
        """Scheme, host and port."""
        return f"https://localhost:{self.tls_port}" if tls else f"http://localhost:{self.http_port}"


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _accepts(port: int) -> bool:
    try:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=0.2)):
            return True
    except OSError:
        return False
