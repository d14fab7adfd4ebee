"""`cloudspan`, and `python -m cloudspan.cli`."""

from __future__ import annotations

import importlib.util
import sys


def main() -> None:
    """Run the command line."""
    if any(importlib.util.find_spec(needed) is None for needed in ("click", "rich", "yaml")):
        sys.exit("the command line is an extra of the client; pip install 'cloudspan[cli]'")
    from cloudspan.cli.main import cli  # noqa: PLC0415 - says above what to do when it can't be imported

    cli(prog_name="cloudspan")


if __name__ == "__main__":
    main()
