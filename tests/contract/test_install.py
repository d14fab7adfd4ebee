"""`make .venv/.ready` in a checkout of its own, with pip from the standard library and a small stand-in for uv."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = r"""#!/bin/sh
echo "$@" >> calls.txt
mkdir -p .venv/lib/python3.*/site-packages
for site in .venv/lib/python3.*/site-packages; do mkdir -p $site/some_package-1.0.dist-info; done
if [ -n "$HANGS" ]; then exec sleep 60; fi
if [ -n "$FAILS" ]; then echo "no route to the index" >&2; exit 3; fi
"""


class Checkout:
    """What the rule needs of a checkout, and nothing from the network."""

    def __init__(self, place: Path) -> None:
        self.place, self.venv = place, place / ".venv"
        (place / ".ci").mkdir(parents=True)
        for name in ("Makefile", ".ci/install.py"):
            shutil.copy(ROOT / name, place / name)
        for name in ("uv.lock", "pyproject.toml"):
            (place / name).write_text("one")
        self._wheel(place / "wheels")

    def _wheel(self, folder: Path) -> None:
        folder.mkdir()
        info = "uv-0.13.9.dist-info"
        with zipfile.ZipFile(folder / "uv-0.13.9-py3-none-any.whl", "w") as wheel:
            script = zipfile.ZipInfo("uv-0.13.9.data/scripts/uv")
            script.external_attr = (stat.S_IFREG | 0o755) << 16
            wheel.writestr(script, UV)
            wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: uv\nVersion: 0.13.9\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")

    def start(self, **settings: str) -> subprocess.Popen[str]:
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.place / "wheels"), "PIP_CONFIG_FILE": os.devnull}
        return subprocess.Popen(
            ["make", "--no-print-directory", f"PYTHON={sys.executable}", ".venv/.ready"],
            cwd=self.place,
            env={**os.environ, **offline, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def make(self, **settings: str) -> tuple[int, str]:
        """Run it to its end; return exit code and what was printed."""
        process = self.start(**settings)
        printed, _ = process.communicate(timeout=50)
        return process.returncode, printed

    @property
    def syncs(self) -> int:
        calls = self.place / "calls.txt"
        return len(calls.read_text().splitlines()) if calls.exists() else 0


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """One whole environment, which tests damage and have made whole again."""
    made = Checkout(tmp_path_factory.mktemp("install") / "checkout")
    code, printed = made.make()
    assert code == 0, printed
    # On a busy machine a step that takes long says so again.
    steps = [line.partition(" with ")[0] for line in printed.splitlines() if not line.startswith("  still ")]
    assert steps[:3] == [
        "making .venv", "installing uv 0.13.9 ...", "installing the packages of uv.lock ...",
    ]  # fmt: skip
    assert printed.splitlines()[-1].startswith(".venv is ready after ")
    return made


def _python_is_gone(venv: Path) -> None:
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("/nowhere/python3.11")


def _python_was_upgraded(venv: Path) -> None:
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").write_text("#!/bin/sh\necho 3.10\n")
    (venv / "bin" / "python").chmod(0o755)


def _a_package_is_missing(venv: Path) -> None:
    [package] = venv.glob("lib/*/site-packages/some_package-1.0.dist-info")
    package.rmdir()


def _killed_before_pip(venv: Path) -> None:
    (venv / ".ready").unlink()
    for left in ("bin/uv", "bin/pip"):
        (venv / left).unlink()
    for left in venv.glob("lib/*/site-packages/pip*"):
        shutil.rmtree(left)


def _uv_is_gone(venv: Path) -> None:
    (venv / "bin" / "uv").unlink()


DAMAGE = (
    _python_is_gone, _python_was_upgraded, _a_package_is_missing, _killed_before_pip,
    _uv_is_gone,
)  # fmt: skip


def test_a_whole_environment_is_left_as_it_is_at_once(checkout):
    """Nothing is printed, nothing is run; new file times don't matter."""
    before = checkout.syncs
    os.utime(checkout.place / "uv.lock")
    assert checkout.make() == (0, "")
    assert checkout.syncs == before


@pytest.mark.faults
@pytest.mark.parametrize("damage", DAMAGE)
def test_an_environment_that_is_not_whole_is_made_anew(checkout, damage):
    """And says so; afterwards there is nothing to do."""
    damage(checkout.venv)
    code, printed = checkout.make()
    assert code == 0, printed
    assert printed.startswith(".venv is not whole")
    assert checkout.make() == (0, "")


def test_other_dependencies_are_brought_up_to_date_without_a_new_environment(checkout):
    """A changed lock is the everyday case."""
    (checkout.venv / "stays.txt").write_text("")
    (checkout.place / "uv.lock").write_text("two")
    code, printed = checkout.make()
    assert (code, printed.splitlines()[0]) == (0, "installing the packages of uv.lock ...")
    assert (checkout.venv / "stays.txt").exists()


@pytest.mark.faults
def test_a_failure_shows_what_was_said_and_the_next_run_starts_anew(checkout):
    """Exit code and words of the tool; what it left is not taken for whole."""
    (checkout.place / "uv.lock").write_text("three")
    code, printed = checkout.make(FAILS="1")
    assert code != 0
    assert "no route to the index" in printed
    assert "installing the packages of uv.lock failed with exit code 3" in printed
    assert checkout.make()[1].startswith(".venv is not whole")


@pytest.mark.faults
def test_a_run_that_is_killed_leaves_nothing_that_looks_whole(checkout):
    """SIGKILL to all of it in the middle of the last step."""
    (checkout.place / "uv.lock").write_text("four")
    before = checkout.syncs
    process = checkout.start(HANGS="1")
    give_up = time.monotonic() + 30
    while checkout.syncs == before and time.monotonic() < give_up:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    code, printed = checkout.make()
    assert (code, printed.splitlines()[0][:22]) == (0, ".venv is not whole, or")
    assert checkout.make() == (0, "")
