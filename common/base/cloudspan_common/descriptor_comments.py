"""The comments of .proto files, for those who ask by reflection what a service, message or field is.

Generated Python code leaves them out, and they take more room than the descriptors: `make proto` writes them beside it
as `comments.binpb`. They are read when somebody asks for the first time; a process that nobody asks does without.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE = "comments.binpb"
# The contract's file has those of what it imports too: google.api, google.longrunning, google.protobuf, google.rpc.
_CONTRACT = "cloudspan.v1"


def with_comments(file: bytes) -> bytes:
    """Return a serialized FileDescriptorProto with its comments, where they are known and it has none."""
    known = FileDescriptorProto.FromString(file)
    if known.HasField("source_code_info"):
        return file
    return file + comments_of(known.name)


def comments_of(name: str) -> bytes:
    """Return what a file's serialized descriptor is to be followed by to have its comments; empty where none are known.

    Serialized messages of one type, one behind the other, are one message with the fields of both.
    """
    return own_comments_of(name) or _comments_in(_CONTRACT).get(name, b"")


def own_comments_of(name: str) -> bytes:
    """Return the same, for a file that is not the contract's: gateways know that one's themselves."""
    folder = name.rpartition("/")[0].replace("/", ".")
    return b"" if folder == _CONTRACT else _comments_in(folder).get(name, b"")


@lru_cache(maxsize=64)
def _comments_in(package: str) -> Mapping[str, bytes]:
    """The comments beside the generated code of a package; one that is not in use here has no descriptors either."""
    module = sys.modules.get(package)
    if module is None or not hasattr(module, "__path__"):
        return {}
    file = resources.files(module) / _FILE
    if not file.is_file():
        return {}
    return {each.name: _only_comments(each) for each in FileDescriptorSet.FromString(file.read_bytes()).file}


def _only_comments(file: FileDescriptorProto) -> bytes:
    return FileDescriptorProto(source_code_info=file.source_code_info).SerializeToString()
