"""What the user asks for by a menu or a popup: found from the syntax alone, so that it opens at once."""

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


def is_deliberate(snapshot: Snapshot) -> bool:
    """Whether a popup at the cursor was called for: at the end of an order, or where no word is being typed."""
    from codegen_lsp.context.intent import find_intent
    from codegen_lsp.syntax.parse import parse

    before = snapshot.text[max(0, snapshot.offset - 1) : snapshot.offset]
    if not (before.isalnum() or before == "_"):
        return True
    tree = parse(snapshot.text, snapshot.language, snapshot.offset)
    intent = find_intent(replace(snapshot, trigger=Trigger.AUTOMATIC), tree)
    return intent is not None and intent.kind in ORDERS
