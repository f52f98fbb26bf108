"""Reads what pip would install (a report of `pip install --dry-run --report`) from stdin, prints exact versions."""

import json
import sys

HEAD = """\
# The versions with which CI runs, of everything that is installed for it. Made by `make constraints`; what users
# install follows the ranges in pyproject.toml. Used as PIP_CONSTRAINT by .ci/run.
"""
print(HEAD, end="")
for name, version in sorted(
    (one["metadata"]["name"].lower().replace("_", "-"), one["metadata"]["version"])
    for one in json.load(sys.stdin)["install"]
):
    if name != "ocppscope":
        print(f"{name}=={version}")
