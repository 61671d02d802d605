"""The command line: one file per command, each with `fill(parser)` and `run(args) -> exit code`."""
