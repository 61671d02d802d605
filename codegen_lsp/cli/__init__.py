"""The command line: one file per command, each with `add(commands)` and `run(args) -> exit code`."""
