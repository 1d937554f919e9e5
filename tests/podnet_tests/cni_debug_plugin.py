"""A CNI plugin that records how it was called, and answers as its configuration says.

`record` names a file that gets one JSON line per call. `behave` maps a command to what happens: `print` (any JSON,
or text), `status` (of the exit), `sleep` (seconds), `child` (a process is left that holds the pipes). `speaks` are
the versions that VERSION answers. Without any, ADD answers what came before and an interface of the name asked for.
Copied into a directory of plugins by podnet_tests.cni.
"""

import json
import os
import subprocess
import sys
import time

VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


def main() -> int:
    """The plugin."""
    command = os.environ["CNI_COMMAND"]
    text = sys.stdin.read()
    config = json.loads(text)
    if "record" in config:
        with open(config["record"], "a") as file:
            environment = {key: value for key, value in os.environ.items() if key.startswith("CNI_")}
            entry = {"program": os.path.basename(sys.argv[0]), "pid": os.getpid(), "env": environment, "stdin": config}
            file.write(json.dumps(entry) + "\n")
    told = config.get("behave", {}).get(command, {})
    if told.get("child"):
        subprocess.Popen(["sleep", "60"])
    time.sleep(told.get("sleep", 0))
    answer(told["print"] if "print" in told else default(command, config))
    return int(told.get("status", 0))


def answer(what: object) -> None:
    """Print it; an object as JSON."""
    sys.stdout.write(what if isinstance(what, str) else json.dumps(what))


def default(command: str, config: dict) -> object:  # type: ignore[type-arg]
    """What a well-behaved plugin says."""
    if command == "VERSION":
        return {"cniVersion": config["cniVersion"], "supportedVersions": config.get("speaks", VERSIONS)}
    if command != "ADD":
        return ""
    before = config.get("prevResult", {"cniVersion": config["cniVersion"]})
    made = {"name": os.environ["CNI_IFNAME"], "mac": "02:00:00:00:00:01", "sandbox": os.environ["CNI_NETNS"]}
    return {**before, "interfaces": [*before.get("interfaces", []), made]}


if __name__ == "__main__":
    sys.exit(main())
