"""A route of Litestar that answers a constant, served as the service is: what no work costs.

Run as ``python -m tests.benchmarks.bare_route``: logs its address as the service does, and serves
until SIGTERM.
"""

from __future__ import annotations

import json
import socket

import uvicorn
from litestar import Litestar, get


@get("/v1/devices/{device:str}")
async def constant(device: str) -> dict[str, str]:
    """The same for all."""
    return {"id": "press-07"}


def main() -> None:
    """Serve until a signal."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    print(json.dumps({"event": "service.listening", "url": url}), flush=True)
    config = uvicorn.Config(
        Litestar([constant], openapi_config=None),
        log_config=None,
        access_log=False,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
