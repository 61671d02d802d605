"""`host status|start|stop`: the process that holds the model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from codegen_lsp.cli.ask import add_model_options, open_desk, run_async


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "One host per user serves every editor and the command line. It starts by itself, ends when idle."
    )
    parser.add_argument("action", choices=("status", "start", "stop"))
    parser.add_argument("--json", action="store_true", help="for machines")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command; `status` returns 1 when there is no host."""
    actions = {"status": _status, "start": _start, "stop": _stop}
    return run_async(args, lambda: actions[args.action](args))


async def _status(args: argparse.Namespace) -> int:
    from codegen_lsp.engine import blocking
    from codegen_lsp.engine.launch import host_status

    hosts = await host_status(blocking)
    if args.json:
        print(json.dumps(hosts))
    elif hosts:
        print("\n".join(map(_line, hosts)))
    else:
        print("No model host is running; it starts when it is needed.")
    return 0 if hosts else 1


def _line(host: Mapping[str, Any]) -> str:
    head = f"{host.get('model')}: {host.get('state')}, pid {host.get('pid')}"
    if host.get("error"):
        return f"{head}: {host['error']}"
    place = f"{host.get('device')} {host.get('dtype')}".strip() or "no device yet"
    memory = f"{host['rss_mb']:.0f} MB" if host.get("rss_mb") else "?"
    return f"{head}, {place}, {memory}, {host.get('requests')} requests, idle {host.get('idle_s', 0):.0f} s"


async def _start(args: argparse.Namespace) -> int:
    async with open_desk(args) as desk:
        if not args.json:
            print(f"{desk.info.id} is ready.")
    return await _status(args) if args.json else 0


async def _stop(args: argparse.Namespace) -> int:
    from codegen_lsp.engine import blocking
    from codegen_lsp.engine.launch import stop_host

    count = await stop_host(wire=blocking)
    print(json.dumps({"stopped": count}) if args.json else f"{count} host{'s' * (count != 1)} stopped.")
    return 0
