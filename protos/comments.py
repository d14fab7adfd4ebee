"""Writes the comments of .proto files beside their generated code, for reflection: `make proto` runs it.

    python protos/comments.py OUT.binpb --include=DIR ... [--imports] FILE.proto ...

OUT holds a google.protobuf.FileDescriptorSet whose files have a name and the commented part of their source_code_info,
nothing else: `cloudspan_common.reflection` puts it together with the descriptors that the process has anyway.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def compiled(includes: list[str], files: list[str], *, imports: bool) -> descriptor_pb2.FileDescriptorSet:
    """Return what protoc makes of the files, and of what they import if `imports`, with all their comments."""
    with tempfile.NamedTemporaryFile() as out:
        paths = [f"-I{path}" for path in (*includes, WELL_KNOWN)]
        flags = ["--include_source_info", *(["--include_imports"] if imports else [])]
        if protoc.main(["protoc", *paths, *flags, f"--descriptor_set_out={out.name}", *files]):
            sys.exit("protoc failed")
        return descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())


def comments(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """Return the name and the comments of a file; positions without any would triple the size."""
    kept = descriptor_pb2.FileDescriptorProto(name=file.name)
    for location in file.source_code_info.location:
        if location.leading_comments or location.trailing_comments:
            del location.leading_detached_comments[:]
            kept.source_code_info.location.append(location)
    return kept


def main() -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--imports", action="store_true")
    parser.add_argument("files", nargs="+")
    asked = parser.parse_args()
    found = compiled(asked.include, asked.files, imports=asked.imports)
    kept = descriptor_pb2.FileDescriptorSet(file=[comments(file) for file in sorted(found.file, key=lambda f: f.name)])
    asked.out.write_bytes(kept.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
