"""``podnet-compat translate FILE...``: YAML files with legacy annotations as native manifests, without a cluster.

Prints the files with spec.networks in Pods and Pod templates (what podnet-proxy takes) and with native objects in place
of NetworkAttachmentDefinitions and networks of other systems. Comments and order stay; documents without anything
legacy stay byte for byte. Of several files each knows the NetworkAttachmentDefinitions of all. ``-`` is the standard
input.

Exit status: 0 done; 1 something was refused, and then nothing is written; with --check also when a file would change;
2 wrong usage, or a file that cannot be read or written. What differs, and what is refused, goes to the standard error
output with file, line and column.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from podnet_compat import systems
from podnet_compat.manifests import rewrite
from podnet_compat.manifests.document import FileError

DONE, REFUSED, FAILED = 0, 1, 2
_NAMESPACE = "default"
_STDIN = "-"


def main(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    options = _parser().parse_args(arguments)
    try:
        before = {file: _read(file) for file in options.files}
        given = systems.settings(options.set)
        made = rewrite.rewrite(before, options.namespace, as_annotation=options.annotation, settings=given)
        for line in (*(f"warning: {text}" for text in made.warnings), *made.errors):
            print(line, file=sys.stderr)
        return REFUSED if made.errors else _write(options, before, made.texts)
    except (FileError, systems.SettingError) as error:
        print(error, file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="podnet-compat translate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("-n", "--namespace", default=_NAMESPACE, help="of objects that do not say their own")
    parser.add_argument(
        "--annotation", action="store_true", help="the list as podnet's annotation, for clusters without podnet-proxy"
    )
    parser.add_argument("--set", action="append", default=[], metavar=systems.SETTING, help=systems.SETTING_HELP)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--check", action="store_true", help="only name the files that would change")
    where.add_argument("--diff", action="store_true", help="print what would change")
    where.add_argument("-o", "--output-dir", type=Path, metavar="DIR", help="write files of the same names there")
    where.add_argument("-i", "--in-place", action="store_true", help="write the files themselves")
    return parser


def _write(options: argparse.Namespace, before: Mapping[str, str], after: Mapping[str, str]) -> int:
    changed = [file for file in after if after[file] != before[file]]
    if options.check:
        print("".join(f"{file}\n" for file in changed), end="")
        return REFUSED if changed else DONE
    if options.diff:
        print("".join(_diff(file, before[file], after[file]) for file in changed), end="")
    elif options.in_place:
        _write_files({Path(file): after[file] for file in changed if file != _STDIN})
    elif options.output_dir:
        _write_files({options.output_dir / Path(file).name: text for file, text in after.items()})
    else:
        print(_joined(after.values()), end="")
    return DONE


def _joined(texts: Iterable[str]) -> str:
    """Files one behind the other, as one stream of documents."""
    found = [text if text.endswith("\n") or not text else text + "\n" for text in texts]
    return "".join(text if not i or text.startswith("---") else f"---\n{text}" for i, text in enumerate(found))


def _diff(file: str, before: str, after: str) -> str:
    lines = [text.splitlines(keepends=True) for text in (before, after)]
    return "".join(difflib.unified_diff(lines[0], lines[1], file, file))


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == _STDIN else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"cannot read {file}: {error}") from error


def _write_files(texts: Mapping[Path, str]) -> None:
    """Each file as a whole: what is killed leaves the old one."""
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.new")
            new.write_text(text)
            os.replace(new, path)
        except OSError as error:
            raise FileError(f"cannot write {path}: {error}") from error
