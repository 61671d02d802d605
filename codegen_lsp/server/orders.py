"""Which order a code action would carry out: found from the syntax alone, so that the menu opens at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from codegen_lsp.core import IntentKind, Snapshot, Trigger

ORDERS = (IntentKind.COMMENT_ABOVE, IntentKind.COMMENT_TRAILING, IntentKind.DOCSTRING)


@dataclass(frozen=True)
class Order:
    """Where a request has to stand to carry it out."""

    kind: IntentKind
    offset: int


def find_order(snapshot: Snapshot) -> Order | None:
    """The order at the cursor, or the docstring of the function whose first lines the cursor is on."""
    # Imported here: tree-sitter would delay the answer to `initialize`.
    from codegen_lsp.context.intent import find_intent
    from codegen_lsp.syntax.parse import parse

    tree = parse(snapshot.text, snapshot.language, snapshot.offset)
    page, row = tree.page, tree.page.index(snapshot.offset)
    places = [snapshot.offset, page.lines[row].end]
    last = next((number for number in range(row, len(page.lines)) if not page.lines[number].depth_after), row)
    below = page.after(last)
    if page.opener(last) is not None and below is not None:
        places.append(page.lines[page.string_end(below)].end)
    for place in places:
        intent = find_intent(replace(snapshot, offset=place, trigger=Trigger.INVOKED), tree)
        if intent is not None and intent.kind in ORDERS:
            return Order(intent.kind, place)
    return None
