"""`cloudspan new-adapter`: `adapters/template`, which is a working adapter, copied under another name.

Needs a checkout, since no distribution holds the template. The copy stands anywhere; beside the template it becomes a
member of the workspace, elsewhere it finds this repository by path.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudspan_common.errors import CloudspanError, InvalidRequest, PreconditionFailed
from cloudspan_common.names import is_tag

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = Path(__file__).parents[3] / "adapters" / "template"
_WORKSPACE_SOURCE = "cloudspan-kit = { workspace = true }"
_PARTS = {"kit": "common/kit", "common": "common/base", "protos": "protos"}
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info")
# Outside the repository there is no lock to install from, and two folders to build from.
_BUILD_ALONE = """\
# docker build --build-context cloudspan={root} .
FROM python:3.11-slim-bookworm AS build
RUN python -m venv /opt/cloudspan
COPY --from=cloudspan protos /src/protos
COPY --from=cloudspan common /src/common
COPY . /src/adapter
RUN /opt/cloudspan/bin/pip install --no-cache-dir /src/protos /src/common/base /src/common/kit /src/adapter

"""


@click.command("new-adapter")
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Where its folder is made; here by default.",
)
def new_adapter(name: str, directory: Path) -> None:
    """Make a new adapter that runs as it stands; see docs/writing-an-adapter.md."""
    try:
        folder = make(name, directory)
    except CloudspanError as error:
        raise click.ClickException(error.message) from error
    click.echo(f"{folder} is an adapter for the platform {name}; its README.md says what is where")


def make(name: str, directory: Path, template: Path = TEMPLATE) -> Path:
    """Write the adapter `name` into a new folder of that name in `directory`, and return the folder.

    Raises:
        InvalidRequest: The name can't be a platform tag.
        PreconditionFailed: The folder exists, or the template is not here.
    """
    if not is_tag(name):
        text = (
            f"{name!r} is not a name for an adapter; it becomes the platform tag: lower-case letters, digits, hyphens"
        )
        raise InvalidRequest(text, reason="BAD_NAME")
    if not template.is_dir():
        text = f"there is no template in {template}; run this in a checkout of Cloudspan, with its environment"
        raise PreconditionFailed(text, reason="NO_TEMPLATE")
    folder = directory.resolve() / name
    if folder.exists():
        raise PreconditionFailed(f"{folder} exists; choose another name or --directory", reason="FOLDER_EXISTS")
    shutil.copytree(template, folder, ignore=_LEFT_OUT)
    _rename(folder, name)
    if folder.parent != template.parent:
        _stand_alone(folder, template.parents[1])
    return folder


def _rename(folder: Path, name: str) -> None:
    # The deepest first: a renamed folder would take its files' paths away.
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file():
            path.write_text(renamed(path.read_text("utf-8"), name), "utf-8")
        path.rename(path.with_name(renamed(path.name, name)))


def renamed(text: str, name: str) -> str:
    """Return the template's text with its name exchanged: in Python names, in class names, as a tag."""
    snake = name.replace("-", "_")
    text = re.sub(r"(?<=_)template|template(?=_)", snake, text)
    return text.replace("Template", "".join(_words(name))).replace("template", name)


def _words(name: str) -> Iterator[str]:
    return (word.capitalize() for word in name.split("-"))


def _stand_alone(folder: Path, root: Path) -> None:
    """Point what refers to the workspace to where it is."""
    there = os.path.relpath(root, folder)
    project = folder / "pyproject.toml"
    sources = (f'cloudspan-{part} = {{ path = "{there}/{path}", editable = true }}' for part, path in _PARTS.items())
    project.write_text(project.read_text("utf-8").replace(_WORKSPACE_SOURCE, "\n".join(sources)), "utf-8")
    dockerfile = folder / "Dockerfile"
    image = dockerfile.read_text("utf-8")
    dockerfile.write_text(_BUILD_ALONE.format(root=there) + image[image.rindex("FROM ") :], "utf-8")
