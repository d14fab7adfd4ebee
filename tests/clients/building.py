"""Generate and build a language's example client below .state/clients.

Its plugins are installed first, then buf runs them as buf.gen.yaml says. A language's program and the versions of its
packages are in its folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
STATE = ROOT / ".state" / "clients"
TOOLS = STATE / "tools"
# Minutes, since a first build downloads packages and compiles gRPC.
BUILD_S = 900.0
RUN_S = 60.0

# The generated code is a module of its own, found by the `replace` of the example's go.mod.
_GO_MODULE = "module cloudspan.dev/go\n\ngo 1.25\n"
_GO_PLUGINS = (
    "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
)
_MAVEN = ("mvn", "--quiet", "--batch-mode")
# protoc must be 35 or newer.
_JAVA_PLUGINS = ("com.google.protobuf:protoc:4.36.2", "io.grpc:protoc-gen-grpc-java:1.81.0")
_MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_MAVEN_PLATFORM = "linux-x86_64"


@dataclass(frozen=True, slots=True)
class Language:
    """How an example is built and run: commands in its folder."""

    name: str
    source: str
    needs: tuple[str, ...]
    build: tuple[str, ...]
    run: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it is built."""
        return STATE / self.name

    def missing(self) -> list[str]:
        """Return which programs of its toolchain this machine lacks."""
        return [program for program in self.needs if shutil.which(program) is None]


GO = Language(
    "go", "main.go", ("go",), build=("go", "build", "-mod=readonly", "-o", "example", "."), run=("./example",)
)
JAVA = Language(
    "java",
    "src/main/java/example/Example.java",
    ("java", "javac", "mvn"),
    build=(*_MAVEN, "compile", "dependency:copy-dependencies"),
    run=("java", "-cp", "target/classes:target/dependency/*", "example.Example"),
)
NODE = Language(
    "node",
    "example.mjs",
    ("node", "npm"),
    build=("npm", "install", "--no-audit", "--no-fund", "--loglevel=error"),
    run=("node", "example.mjs"),
)
LANGUAGES = (GO, JAVA, NODE)


def build(language: Language) -> None:
    """Build the language's example.

    Raises:
        AssertionError: A command failed; with what it said.
    """
    TOOLS.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "tests" / "clients" / language.name, language.folder, dirs_exist_ok=True)
    if language is NODE:
        # Its plugin is one of its packages.
        command(language.build, language.folder)
        _generate(language, language.folder / "node_modules" / ".bin")
        return
    if language is GO:
        for plugin in _GO_PLUGINS:
            command(("go", "install", plugin), ROOT, GOBIN=str(TOOLS))
    else:
        for plugin in _JAVA_PLUGINS:
            _copy_from_maven(plugin)
    _generate(language, TOOLS)
    if language is GO:
        (language.folder / "gen" / "go.mod").write_text(_GO_MODULE)
    command(language.build, language.folder)


def run(language: Language, address: str, cluster: str) -> str:
    """Run the built example against the gateway at `address`; return what it printed.

    Raises:
        AssertionError: It failed; with what it said.
    """
    return command((*language.run, address, cluster), language.folder, timeout_s=RUN_S)


def command(words: tuple[str, ...], folder: Path, *, timeout_s: float = BUILD_S, **environment: str) -> str:
    """Run a program in `folder`; return what it printed.

    Raises:
        AssertionError: It failed; with what it said.
    """
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def plugins(language: Language) -> list[dict[str, object]]:
    """Return what buf.gen.yaml runs for the language."""
    return [plugin for plugin in _generation()["plugins"] if plugin["out"] == f".state/gen/{language.name}"]


def _generation() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "buf.gen.yaml").read_text())
    return parsed


def _generate(language: Language, programs: Path) -> None:
    buf = Path(sys.executable).with_name("buf")
    template = json.dumps({**_generation(), "plugins": plugins(language)})
    command((str(buf), "generate", "--template", template), ROOT, PATH=f"{programs}:{os.environ['PATH']}")
    shutil.rmtree(language.folder / "gen", ignore_errors=True)
    shutil.copytree(ROOT / ".state" / "gen" / language.name, language.folder / "gen")


def _copy_from_maven(artifact: str) -> None:
    group, name, version = artifact.split(":")
    coordinates = f"{group}:{name}:{version}:exe:{_MAVEN_PLATFORM}"
    words = (*_MAVEN, _MAVEN_COPY, f"-Dartifact={coordinates}", f"-DoutputDirectory={TOOLS}")
    command(words, STATE)
    copied = TOOLS / f"{name}-{version}-{_MAVEN_PLATFORM}.exe"
    copied.chmod(0o755)
    (TOOLS / name).unlink(missing_ok=True)
    (TOOLS / name).symlink_to(copied.name)
