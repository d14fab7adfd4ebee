"""The registry's Consul tests once more, with the client library that older installations have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
VERSION = "0.1.5"


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_the_consul_suite_passes_with_python_consul2(consul_program: str, tmp_path: Path) -> None:
    """Both libraries import as `consul`; a folder put first on the path decides which one is proven."""
    library = tmp_path / "library"
    install = ["install", "--quiet", "--target", str(library), "--no-deps", f"python-consul2=={VERSION}", "six"]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, timeout=120)
    suite = [sys.executable, "-m", "pytest", str(HERE), "-q", "-k", "consul", "-m", "not faults"]
    # Each of its clients warns about the age of half its methods, ours or not.
    suite += ["-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning"]
    environment = {
        **os.environ,
        "CLOUDSPAN_CONSUL": consul_program,
        "PYTHONPATH": str(library),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CLOUDSPAN_EXPECT_CONSUL_LIBRARY": VERSION,
        "CLOUDSPAN_EXPECT_CONSUL_FOLDER": str(library),
    }
    outcome = subprocess.run(suite, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert outcome.returncode == 0, outcome.stdout[-4000:]
    assert "skipped" not in outcome.stdout.splitlines()[-1]
