"""Give the root distribution the union of its members' requirements, those of extras too, and scripts.

`pip install -e .` reads only the root's metadata; without this it would look for the members on an index.
"""

import tomllib
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

MEMBERS = ("protos", "common/*", "gateway", "adapters/*", "adapters/*/fake")


class WorkspaceMetadataHook(MetadataHookInterface):
    def update(self, metadata: dict) -> None:
        requirements: set[str] = set()
        scripts: dict[str, str] = {}
        for pattern in MEMBERS:
            for path in sorted(Path(self.root).glob(f"{pattern}/pyproject.toml")):
                project = tomllib.loads(path.read_text())["project"]
                wanted = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
                requirements |= {r for each in wanted for r in each if not r.startswith("cloudspan")}
                scripts |= project.get("scripts", {})
        metadata["dependencies"] = sorted(requirements)
        metadata["scripts"] = scripts
