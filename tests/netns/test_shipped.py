"""Measurements run with the Python of the image, and nothing of it stays on this machine."""

import json
import pathlib
import subprocess
import sys

from podnet_hack import image, paths, shipped

ASK = """
import json, platform, sys, podnet_kni_server
print(json.dumps([platform.python_version(), sys.prefix, podnet_kni_server.__file__, sys.argv[1:]]))
"""


def test_the_python_of_the_image_runs_the_checkout(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "ask.py"
    program.write_text(ASK)
    words = [sys.executable, "-m", "podnet_hack.shipped", str(program), "one", "--two"]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=300)
    version, prefix, package, given = json.loads(done.stdout)
    assert version.startswith(f"{image.PYTHON}.")
    assert prefix == str(shipped.ENVIRONMENT)
    assert pathlib.Path(package).is_relative_to(paths.CHECKOUT / "kni-server")
    assert given == ["one", "--two"]
    assert not [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if " /usr overlay" in line]


def test_a_program_has_to_be_named() -> None:
    done = subprocess.run([sys.executable, "-m", "podnet_hack.shipped"], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("cannot run nothing: name a program")
