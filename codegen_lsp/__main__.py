"""`python -m codegen_lsp` and the `codegen-lsp` command."""

import gc
import sys


def main() -> int:
    """Run the command line; returns the exit code."""
    try:
        # Here, since the imports are a fifth of a second in which Ctrl-C must not print a traceback.
        from codegen_lsp.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        return 130
    finally:
        # Or Python looks for garbage in all that was imported, 12 ms long, before the system takes it back.
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
