"""`cloudspan-bus`, Cloudspan on a message bus as a process."""

from __future__ import annotations

from cloudspan_bus.app import serve
from cloudspan_bus.config import BusConfig
from cloudspan_common.service import run


def main() -> None:
    """Serve until a signal: see `cloudspan-bus --help`."""
    run(BusConfig, serve, name="cloudspan-bus")


if __name__ == "__main__":
    main()
