"""Which class a variable is of, as far as the text says so: what it was made by, or is annotated with.

A guess by the nearest line above, without regard to scopes: what is made of it is only shown, never relied on.
"""

from __future__ import annotations

import re

_TYPE = r"(?P<type>[^\W\d]\w*(?:\.[^\W\d]\w*)*)"
_NAME = r"(?P<name>(?:self\.)?[^\W\d]\w*)"
_PATTERNS = (
    # client = httpx.Client(...)
    re.compile(rf"^[ \t]*{_NAME}[ \t]*=[ \t]*(?:await[ \t]+)?{_TYPE}\(", re.MULTILINE),
    # with httpx.Client(...) as client; what is in its parentheses may have such in turn
    re.compile(rf"(?<![\w.]){_TYPE}\((?:[^()]++|\([^()]*+\))*+\)\s+as\s+{_NAME}"),
    # except httpx.HTTPError as error
    re.compile(rf"\bexcept[ \t]+{_TYPE}[ \t]+as[ \t]+{_NAME}"),
    # def get(client: httpx.Client), client: "httpx.Client | None" = None
    re.compile(
        rf"(?:^[ \t]*|[(,]\s*+){_NAME}[ \t]*:[ \t]*(?:(?:\w+\.)?(?:Optional|Annotated)\[)?[\"']?{_TYPE}", re.MULTILINE
    ),
)


def receivers(text: str) -> dict[str, str]:
    """For each variable (`client`, `self.client`) the dotted name of what was called last to make it, or of its type.

    As written: where a function was called, it is what that gives back.
    """
    found = [match for pattern in _PATTERNS for match in pattern.finditer(text)]
    return {match["name"]: match["type"] for match in sorted(found, key=lambda each: each.start("name"))}
