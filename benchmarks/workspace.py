#!/usr/bin/env python3
"""The index on a large tree: reading it, asking it, and how soon a saved change is seen.

usage: workspace.py [FOLDER] [--files N] [--queries N] [--saves N]

The first N source files of FOLDER (default: what is installed beside this Python) are copied, and a real index process
keeps them. Questions are places in those files, sent as an editor's server would, one after the other. A save appends a
function to a file; it is seen when a question about its name finds it. The last line is everything as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import sysconfig
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from figures import cpu_seconds, summary
from index_client import IndexClient

from codegen_lsp.index.files import Rules, read
from codegen_lsp.index.place import database

SEEN_WITHIN_S = 10.0


def copied(folder: Path, target: Path, most: int) -> tuple[int, int, int]:
    """Copy source files; numbers of files, lines and bytes."""
    files = lines = size = 0
    for entry in islice((each for each in Rules(folder).walk() if read(folder, each)), most):
        place = target / entry.path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / entry.path, place)
        files, lines, size = files + 1, lines + place.read_bytes().count(b"\n"), size + entry.size
    return files, lines, size


def peak_mb(pid: int) -> float:
    """The most memory that a process has had, in MB (10^6 bytes)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6, 1)


def built(client: IndexClient, files: int, lines: int, size: int) -> dict[str, Any]:
    """Figures of reading everything."""
    began, used = time.perf_counter(), cpu_seconds(client.process.pid)
    client.ask("build")
    seconds = time.perf_counter() - began
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds(client.process.pid) - used, 1),
        "files_per_s": round(files / seconds),
        "lines_per_s": round(lines / seconds),
        "mb_per_s": round(size / 1e6 / seconds, 2),
    }


def asked(client: IndexClient, root: Path, num: int) -> dict[str, Any]:
    """Times of questions, in ms: at the ends of lines all over the tree, and again some characters further on."""
    rng, times, again = random.Random(5), list[float](), list[float]()
    entries = [each for each in Rules(root).walk() if 500 < each.size < 200_000]
    for entry in rng.choices(entries, k=num):
        text = (root / entry.path).read_text(encoding="utf-8", errors="replace")
        offset = text.find("\n", rng.randrange(len(text)))
        began = time.perf_counter()
        client.ask("snippets", path=entry.path, text=text, offset=max(0, offset))
        times.append((time.perf_counter() - began) * 1000)
        client.ask("status")  # what is done after an answer is not a part of the next one's time
        typed = text[:offset] + "\nvalue" + text[offset:]
        began = time.perf_counter()
        client.ask("snippets", path=entry.path, text=typed, offset=max(0, offset) + 6)
        again.append((time.perf_counter() - began) * 1000)
        client.say({"method": "close", "params": {"path": entry.path}})
        client.ask("status")
    return {"at a new place": summary(times), "typing on": summary(again)}


def seen(client: IndexClient, root: Path, num: int) -> dict[str, float]:
    """Times from a save to its being found, in ms."""
    rng, times = random.Random(6), []
    entries = [each for each in Rules(root).walk() if each.path.endswith(".py") and each.size < 200_000]
    for number, entry in enumerate(rng.sample(entries, num)):
        name = f"saved_{number}_{rng.randrange(10**6)}"
        place = root / entry.path
        text = place.read_text(encoding="utf-8", errors="replace") + f"\n\ndef {name}(left):\n    return left\n"
        ask = {"path": "new_file.py", "text": f"x = {name}(", "offset": len(name) + 5}
        place.write_text(text, encoding="utf-8", errors="replace")
        began = time.perf_counter()
        while not any(name in each["text"] for each in client.ask("snippets", **ask)):
            if time.perf_counter() > began + SEEN_WITHIN_S:
                raise SystemExit(f"{entry.path} is not seen")
            time.sleep(0.002)
        times.append((time.perf_counter() - began) * 1000)
    return summary(times)


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.add_argument("--files", type=int, default=10_000, help="so many of them (default 10000)")
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--saves", type=int, default=40)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="codegen-bench-") as name:
        root = Path(name, "tree")
        root.mkdir()
        os.environ["XDG_CACHE_HOME"] = str(Path(name, "cache"))
        files, lines, size = copied(args.folder.resolve(), root, args.files)
        print(f"{files} files, {lines} lines, {size / 1e6:.1f} MB", flush=True)
        found: dict[str, Any] = {"files": files, "lines": lines, "megabytes": round(size / 1e6, 1)}
        with IndexClient(root) as client:
            found["built"] = built(client, files, lines, size)
            found["unchanged_s"] = client.ask("build")["seconds"]
            for key, value in list(found.items())[3:]:
                print(f"{key}: {value}", flush=True)
            found["query_ms"] = asked(client, root, args.queries)
            found["save_to_visible_ms"] = seen(client, root, args.saves)
            found["peak_mb"] = peak_mb(client.process.pid)
            found["known"] = client.ask("status")
            found["database_mb"] = round(database(root).stat().st_size / 1e6, 1)
    for key, value in list(found.items())[5:]:
        print(f"{key}: {value}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
