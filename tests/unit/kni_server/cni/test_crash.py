"""kill -9 at any moment: what plugins did is undone after, for every attachment, from the files alone."""

import asyncio
import collections
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from podnet_tests.cni import Node

ROUNDS = 8
_CHILD = """
import asyncio, sys
from pathlib import Path
from podnet_tests.cni import Node, asked, Pod

async def main():
    node = Node(Path(sys.argv[1]))
    await node.executor.sweep(set())
    for number in range(int(sys.argv[2]), 10_000):
        pod = Pod(f"s{number}", "ns", "p", "u")
        await node.executor.add(asked(pod=pod), node.config({}, {"type": "second"}), "")
        if number % 2:
            await node.executor.delete(pod.sandbox, "net1")

asyncio.run(main())
"""


def _quiet(node: Node) -> None:
    """Plugins outlive the server; their container would end them."""
    size = -1
    while size != (size := node.record.stat().st_size):
        time.sleep(0.3)


async def test_every_add_has_its_del(tmp_path: Path) -> None:
    node = Node(tmp_path)
    for name in ("debug", "second"):
        node.plugin(name)
    chance = random.Random(7)
    for number in range(ROUNDS):
        child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path), str(number * 1000)])
        before = len(node.calls())
        while len(node.calls()) < before + 3:
            await asyncio.sleep(0.01)
        await asyncio.sleep(chance.random() * 0.3)
        child.kill()
        child.wait()
        _quiet(node)
    node.restart()
    await node.executor.sweep(set())
    assert node.cache.entries() == []
    assert not list((tmp_path / "cache").iterdir())
    last: dict[tuple[str, str], str] = collections.defaultdict(str)
    for call in node.calls():
        last[call["env"]["CNI_CONTAINERID"], call["program"]] = call["env"]["CNI_COMMAND"]
    assert len(last) > ROUNDS
    left = [key for key, command in last.items() if command != "DEL"]
    assert left == [], json.dumps(left)
