"""Everything that can go wrong in a way a user should read.

    CodegenError                one clear sentence that says what to do; the log has the rest
    ├── SettingsError           an option that cannot be used
    ├── FileError               a file that cannot be read, or a position outside it
    ├── ModelError              a model folder that is missing, truncated or not allowed
    └── EngineError             the engine cannot be asked
        ├── EngineUnavailable   no host, and none could be started
        └── EngineFailed        the engine answered with an error, or died while it answered

`exit_code` is what the command line returns.
"""


class CodegenError(Exception):
    """Root of the tree; `str()` of it is shown to the user."""

    exit_code = 1


class SettingsError(CodegenError):
    """An option that cannot be used."""

    exit_code = 2


class FileError(CodegenError):
    """A file that cannot be read, or a position outside it."""

    exit_code = 3


class ModelError(CodegenError):
    """A model folder that is missing, truncated or not allowed."""

    exit_code = 4


class EngineError(CodegenError):
    """The engine cannot be asked."""

    exit_code = 5


class EngineUnavailable(EngineError):
    """No host, and none could be started."""


class EngineFailed(EngineError):
    """The engine answered with an error, or died while it answered."""
