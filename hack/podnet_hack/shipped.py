"""Runs a program of the checkout with the Python that ships: `python -m podnet_hack.shipped PROGRAM [ARGUMENT ...]`.

What is measured should be what runs on nodes. The image's Python is Debian's, built with profile-guided optimisation;
a developer's may be built without, and by experiment is slower by a fifth where caches are cold. So the image's /usr
is laid over this machine's, in a mount namespace of the program's own, with an environment of the checkout beside
`.venv`. Where that cannot be (not root, not Linux, no overlay), it says so and the present Python runs the program.
"""

import os
import platform
import sys

from podnet_hack import command, errors, image, paths, progress

ENVIRONMENT = paths.BUILD / "shipped"
_LAID_OVER = 'mount -t overlay overlay -o "lowerdir=$0:/usr" /usr && mount --make-rshared / && exec "$@"'
"""For a shell in its own mount namespace; $0 is the image's /usr. Shared with whoever makes one below it, as namespaces
of `ip netns exec` have to see what is mounted later."""


def missing() -> str:
    """Why the image's Python cannot run here; empty when it can.

    Raises: HackError where the image's Debian packages cannot be had.
    """
    if platform.system() != "Linux" or os.geteuid() != 0:
        return "needs root on Linux"
    return "" if command.succeeds(*_inside(), "true") else "needs a file system laid over another"


def command_line(program: list[str]) -> tuple[list[str], dict[str, str]]:
    """What runs `program` (a file of Python and its arguments), and what its environment has besides."""
    uv = (image.UV, "run", "--quiet", "--frozen", "--all-packages", "--all-groups", "python")
    environment = {"UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT), "UV_PYTHON": f"/usr/bin/python{image.PYTHON}"}
    return [*_inside(), *uv, *program], environment


def _inside() -> list[str]:
    return ["unshare", "--mount", "sh", "-c", _LAID_OVER, str(image.base_tree() / "usr")]


def main(argv: list[str]) -> None:
    """The program."""
    if not argv:
        raise errors.HackError("cannot run nothing: name a program, as in `shipped tests/benchmark/run.py`")
    words, environment = [sys.executable, *argv], dict[str, str]()
    if reason := missing():
        progress.say(f"with this machine's Python {platform.python_version()}: the image's {reason}")
    else:
        words, environment = command_line(argv)
    os.execvpe(words[0], words, os.environ | environment)


if __name__ == "__main__":
    sys.exit(errors.reported(lambda: main(sys.argv[1:])))
