"""`python -m codegen_lsp` and the `codegen-lsp` command."""

import sys

from codegen_lsp.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
