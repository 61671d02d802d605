"""What a body says against its annotations and its docstring, and what right code never does."""

from __future__ import annotations

import ast
import textwrap

import pytest

from codegen_lsp.verify.claims import contradictions


def told(code: str) -> tuple[str, ...]:
    """What is said of the first function of a text."""
    function = ast.parse(textwrap.dedent(code).strip("\n")).body[0]
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    return contradictions(function)


def doc(text: str, body: str, header: str = "def f(a):") -> str:
    """A function with a docstring."""
    return f'{header}\n    """Does it.\n\n' + textwrap.indent(f'{text}\n"""\n{body}', "    ")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f(a) -> int: return 'a'", "returns str (line 1) where int is annotated"),
        ("def f(a) -> int:\n    if a:\n        return 1\n    return f'{a}'", "returns str (line 4)"),
        ("def f(a) -> str: return len(a)", "returns int"),
        ("def f(a) -> str: return 1 if a else a", "returns int"),
        ("def f(a) -> str: return a or 0", "returns int"),
        ("def f(a) -> str: return not a", "returns bool"),
        ("def f(a) -> str: return a == 1", "returns bool"),
        ("def f(a) -> list[int]: return a in a", "returns bool"),
        ("def f(a) -> list[int]: return (b for b in a)", "returns generator"),
        ("def f(a) -> list: return zip(a, a)", "returns iterator"),
        ("def f(a) -> List[int]: return {b: 1 for b in a}", "returns dict"),
        ("def f(a) -> typing.Dict[str, int]: return [a]", "returns list"),
        ("def f(a) -> 'dict[str, int]': return a, 1", "returns tuple"),
        ("def f(a) -> set[int]: return {}", "returns dict"),
        ("def f(a) -> tuple[int, int]: return [a, a]", "returns list"),
        ("def f(a) -> bytes: return '%s' % a", "returns str"),
        ("def f(a) -> int: return ','.join(a)", "returns str"),
        ("def f(a) -> bool: return 1", "returns int"),
        ("def f(a) -> int: return -1.5", "returns float"),
        ("def f(a) -> int | None: return 'a'", "returns str (line 1) where int | None"),
        ("def f(a) -> Optional[int]: return []", "returns list"),
        ("def f(a) -> Union[int, str]: return []", "returns list"),
        ("def f(a) -> Literal['a', 'b']: return 1", "returns int"),
        ("def f(a) -> Annotated[int, 'x']: return ''", "returns str"),
        ("def f(a) -> Iterator[int]: return [1]", "returns list"),
        ("def f(a) -> Mapping[str, int]: return [1]", "returns list"),
        ("def f(a) -> Sequence[int]: return {1}", "returns set"),
        ("def f(a) -> Callable[[], int]: return 1", "returns int"),
        (
            "def f(a) -> dict[str, int]:\n    found = []\n    for b in a: found.append(b)\n    return found",
            "returns list (line 4)",
        ),
        ("def f(a) -> int:\n    if a:\n        return None\n    return 1", "returns None (line 3)"),
        ("def f(a) -> int:\n    if a:\n        return\n    return 1", "returns None (line 3)"),
        ("def f(a) -> None: return a + 1", "returns a value (line 1) where None"),
        ("def f(a) -> None: return [a]", "returns list (line 1) where None"),
        ("async def f(a) -> int: return ''", "returns str"),
        ("def f(a) -> int: print(a)", "never returns a value where int"),
        ("def f(a) -> Response: a.b = 1", "never returns a value where Response"),
        ("def f(a) -> 'np.ndarray': return", "never returns a value"),
        ("def f(a) -> int:\n    if a:\n        raise ValueError", "never returns a value"),
        ("def f(a) -> NoReturn: return", "returns (line 1) where NoReturn"),
        ("def f(a) -> list[int]:\n    yield 1", "yields (line 2) where list[int]"),
        ("def f(a) -> None:\n    yield from a", "yields (line 2)"),
        ("async def f(a) -> Iterator[int]:\n    yield 1", "yields (line 2)"),
        ("def f(a) -> int:\n    if a:\n        return 1", "may end without a value where int"),
        ("def f(a) -> int:\n    for b in a:\n        if b:\n            return b", "may end without a value"),
        ("def f(a) -> int:\n    while a:\n        return 1", "may end without a value"),
        ("def f(a) -> int:\n    while True:\n        if a:\n            break\n        return 1", "may end"),
        (
            "def f(a) -> int:\n    try:\n        return a.b()\n    except KeyError:\n        pass",
            "may end without a value",
        ),
        (
            "def f(a) -> int:\n    if a: return 1\n    elif a.b: a.append(1)\n    else: return 2",
            "may end",
        ),
        ("def f(a) -> int:\n    if isinstance(a, str):\n        a.b = 1", "never returns a value"),
        ("def f(a) -> int:\n    if isinstance(a, str):\n        return 1\n    else: a.b = 1", "may end"),
        ("def f(a) -> int:\n    for b in a:\n        if b: return 1\n        elif a: return 2", "may end"),
        ("def f(a) -> int:\n    with a:\n        if a:\n            return 1", "may end"),
        ("def f(a) -> int:\n    match a:\n        case 1: return 1\n        case _: a = 2", "may end"),
        (doc("Returns:\n    The sum.", "print(a)"), "never returns a value, and the docstring"),
        (doc("Returns: the sum.", "a.b = 1"), "never returns a value, and the docstring"),
        (doc("Returns\n-------\nint\n    The sum.", "print(a)"), "never returns a value, and the docstring"),
        (doc(":param a: It.\n:returns: the sum", "return"), "never returns a value, and the docstring"),
        (doc("@return: the sum", "return None"), "never returns a value, and the docstring"),
        (doc("Yields:\n    Each item.", "print(a)"), "never yields"),
        (doc("Yields\n------\nint\n    Each.", "a.b = 1"), "never yields"),
        (
            doc("Raises:\n    ValueError: If empty.", "return sum(a) / len(a)", "def f(a: list[int]):"),
            "cannot raise ValueError",
        ),
        (doc("Raises\n------\nValueError\n    If empty.", "return a", "def f(a: int):"), "cannot raise ValueError"),
        (doc(":raises ValueError: if empty", "return a", "def f(a):"), "cannot raise ValueError"),
        (doc("Raises:\n    KeyError: If not there.", "return a + 1", "def f(a: int):"), "cannot raise KeyError"),
        (
            doc("Raises:\n    my.OwnError: If bad.", "if a > 1: raise ValueError(a)", "def f(a: int):"),
            "cannot raise OwnError",
        ),
        (
            doc("Raises:\n    ValueError: If bad.", "if a > 1: raise KeyError(a)", "def f(a: int):"),
            "cannot raise ValueError",
        ),
        (
            doc("Raises:\n    ZeroDivisionError: If zero.", "return 1 if a else 0", "def f(a: int):"),
            "cannot raise Zero",
        ),
        (
            doc("Raises:\n    IndexError: If short.", "return [b for b in a]", "def f(a: list[str]):"),
            "cannot raise Index",
        ),
        ("def f(a) -> int: return lambda: a", "returns function"),
        ("def f(a) -> str: return (b := 1)", "returns int"),
        ("def f(a) -> Sequence[int]: return a in a", "returns bool"),
        ("def f(a) -> int:\n    'A number, or None.'\n    return 'a'", "returns str"),
        ("def f(a) -> int:\n    match a:\n        case 1: return 1\n    a.b = 1", "may end"),
        ("def f(a) -> int:\n    match a:\n        case _ if a: return 1\n    a.b = 1", "may end"),
        ("def f(a) -> int:\n    match a:\n        case (b, c): return 1\n    a.b = 1", "may end"),
        ("def f(a) -> int:\n    try: return 1\n    except E: a.b = 1\n    a.b = 1", "may end"),
        ("def f(a) -> int:\n    try: a = 1\n    except E: return 1\n    else: a.b = 1", "may end"),
        ("def f(a) -> int:\n    for b in a:\n        if b: return b\n    else: a.b = 1", "may end"),
        (doc("Raises:\n    ValueError: If.", "return a.strip().lower()", "def f(a: str):"), "cannot raise ValueError"),
        (
            doc("Raises:\n    ValueError: If\n        bad.", "return a", "def f(self, a: int):"),
            "cannot raise ValueError",
        ),
        (doc("Raises:\n    ValueError: If.\n\n    OSError: If.", "raise OSError"), "cannot raise ValueError"),
        (doc("Raises:\n    OSError: If.\n\n    ValueError: If.", "raise OSError"), "cannot raise ValueError"),
        (doc(":raises OSError, KeyError: if bad", "raise OSError"), "cannot raise KeyError"),
        (doc(":raises KeyError:\n    if bad", "raise OSError"), "cannot raise KeyError"),
        (doc(":raises KeyError", "raise OSError"), "cannot raise KeyError"),
    ],
)
def test_what_is_told(code: str, expected: str) -> None:
    sentences = told(code)
    assert len(sentences) == 1, sentences
    assert expected in sentences[0]


@pytest.mark.parametrize(
    "code",
    [
        "def f(a): return 'a'",
        "def f(a) -> int: return a",
        "def f(a) -> int: return True",
        "def f(a) -> float: return 1",
        "def f(a) -> complex: return 1.0",
        "def f(a) -> bool: return a == 1 and b",
        "def f(a) -> Any: return 1",
        "def f(a) -> object: a.b = 1",
        "def f(a) -> T: return 1",
        "def f(a) -> Result[int]: return 1, 2",
        "def f(a) -> list[int] | Other: return 1",
        "def f(a) -> 'x y': return 1",
        "def f(a) -> np.int64: return 1.5",
        "def f(a) -> Sequence[int]: return [1]",
        "def f(a) -> Iterable[str]: return 'a'",
        "def f(a) -> Collection[int]: return {1: 2}",
        "def f(a) -> Iterator[int]: return (b for b in a)",
        "def f(a) -> Iterator[int]: return map(int, a)",
        "def f(a) -> Iterator[int]:\n    for b in a:\n        yield b",
        "def f(a) -> Generator[int, None, None]:\n    yield from a\n    return",
        "async def f(a) -> AsyncIterator[int]:\n    yield 1",
        "@contextmanager\ndef f(a) -> Iterator[None]:\n    yield",
        "@pytest.fixture\ndef f(a) -> int:\n    yield 1",
        "def f(a) -> Mapping[str, int]: return {}",
        "def f(a) -> Callable[[int], int]: return lambda b: b",
        "def f(a) -> int | None:\n    if a:\n        return 1",
        "def f(a) -> Optional[Other]: return None",
        "def f(a) -> Other | None: return None",
        "def f(a) -> None: return a.b()",
        "def f(a) -> None: return print(a)",
        "def f(a) -> None:\n    if a:\n        return\n    a.b()",
        "def f(a) -> Literal['a', 1]: return 1",
        "def f(a) -> str: return a % 1",
        "def f(a, str) -> int: return str(a)",
        "def f(a) -> int:\n    len = a\n    return len(a)",
        "def f(a) -> dict:\n    found = []\n    found = dict(found)\n    return found",
        "def f(a) -> dict:\n    found = None\n    for found in a: pass\n    return found",
        "def f(a) -> int:\n    b = ''\n    def g():\n        nonlocal b\n        b = 1\n    g()\n    return b",
        "def f(a) -> int:\n    def g(): return 'a'\n    return g",
        "def f(a) -> int:\n    raise KeyError(a)",
        "def f(a) -> int:\n    a.fail('no')",
        "def f(a) -> int:\n    if a:\n        return 1\n    a.fail('no')",
        "def f(a) -> int:\n    if a:\n        return 1\n    sys.exit(1)",
        "def f(a) -> int:\n    if a:\n        return 1\n    raise ValueError",
        "def f(a) -> int:\n    if a:\n        return 1\n    else:\n        return 2",
        "def f(a) -> int:\n    if a == 1:\n        return 1\n    elif a == 2:\n        return 2",
        "def f(a) -> int:\n    while True:\n        if a:\n            return 1",
        "def f(a) -> int:\n    while True:\n        for b in a: break\n        if a: return 1",
        "def f(a) -> int:\n    for b in a:\n        try: return b()\n        except OSError:\n            if b: raise",
        "def f(a) -> int:\n    for b in itertools.count():\n        if b > a:\n            return b",
        "def f(a) -> int:\n    for b in a:\n        if b: return b\n    else: raise KeyError",
        "def f(a) -> int:\n    try:\n        return a.b()\n    except KeyError:\n        return 1",
        "def f(a) -> int:\n    try:\n        a.b()\n    finally:\n        return 1",
        "def f(a) -> int:\n    try: b = a.b()\n    except KeyError: raise\n    else: return b",
        "def f(a) -> int:\n    with a:\n        return 1",
        "def f(a) -> int:\n    match a:\n        case 1: return 1\n        case _: return 2",
        "def f(a) -> int:\n    match a:\n        case A.B: return 1\n        case A.C: return 2",
        "def f(a) -> int:\n    assert False",
        "def f(a) -> int:\n    if a:\n        return 1\n    assert_never(a)",
        "def f(a) -> str:\n    'The text, or None.'\n    if a:\n        return 'a'",
        "def f(a) -> str:\n    'The text, or None.'\n    return None",
        "def f(a) -> NoReturn:\n    raise SystemExit",
        "def f(a) -> int: ...",
        "def f(a) -> int:\n    'Doc.'",
        "def f(a) -> int:\n    'Doc.'\n    pass",
        "def f(a) -> int:\n    raise NotImplementedError",
        "@overload\ndef f(a) -> int: a.b = 1",
        "@abc.abstractmethod\ndef f(a) -> int: a.b = 1",
        "def f(a) -> own.List: return 1",
        "def f(a) -> Sequence[int]: return a == a",
        "def f(a) -> Other:\n    yield 1",
        "def f(a) -> str:\n    from b import len\n    return len(a)",
        "def f(a) -> str:\n    def len(b): return 'a'\n    return len(a)",
        "def f(a) -> str:\n    match a:\n        case {'a': 1, **len}: return len(a)\n        case len: return len(a)",
        "def f(a) -> dict:\n    b = []\n    try: a.c()\n    except E as b: pass\n    return b",
        "def f(a) -> int:\n    with a: return 1\n    a.b = 1",
        "def f(a) -> int:\n    try: return 1\n    except E: raise\n    a.b = 1",
        "def f(a) -> int:\n    try: a.b = 1\n    except E: raise\n    else: return 1\n    a.b = 1",
        "def f(a) -> int:\n    try: a.b = 1\n    finally: return 1\n    a.b = 1",
        "def f(a) -> int:\n    match a:\n        case 1: return 1\n        case b: return 2\n    a.b = 1",
        "def f(a) -> int:\n    with a:\n        if a: return 1\n        a.fail()",
        "def f(a) -> int:\n    try: return a.b\n    except E: a.fail()",
        "def f(a) -> int:\n    match a:\n        case 1: return 1\n        case _: a.fail()",
        "def f(a) -> int:\n    if a: return 1\n    else: a.fail()",
        "def f(a) -> int:\n    for b in a:\n        if b: return b\n    else: return 1",
        "def f(a) -> int:\n    while a:\n        if a.b: return 1\n    else: return 2",
        "def f(a) -> int:\n    for b in a: return b",
        "def f(a) -> int:\n    for b in a:\n        for c in b:\n            return c",
        "def f(a) -> int:\n    if isinstance(a, str): return 1\n    if isinstance(a, int): return 2",
        "async def f(a) -> int:\n    if a: return 1\n    await a.fail()",
        "async def f(a) -> int:\n    async for b in a: return b",
        doc("Raises:\n    ValueError: If bad.", "raise NotImplementedError", "def f(a: int):"),
        doc("Raises:\n    ValueError: If bad.", "raise a", "def f(a: int):"),
        doc("Raises:\n    TypeError: If bad.", "return 1"),
        doc("Raises:\n    Exception: If bad.", "return 1"),
        doc(":raises OSError: as ValueError does", "raise OSError"),
        doc(":raises OSError: as\n    ValueError: does", "raise OSError"),
        doc("Returns:\n    The sum.", "return a"),
        doc("Returns:\n    None", "a.b = 1"),
        doc("Returns: nothing.", "a.b = 1"),
        doc("Returns:\n    This function does not return anything.", "a.b = 1"),
        doc("Returns:\n", "a.b = 1"),
        doc("Returns the sum, if any: see below.", "a.b = 1"),
        doc("Returns:\n    Whether it is.", "raise KeyError"),
        doc("Returns:\n    The object.", "self.a = a", "def __init__(self, a):"),
        doc("Returns:\n    The items.", "yield a"),
        doc("Yields:\n    Each.", "yield a"),
        doc("Yields:\n    Each.", "return iter(a)"),
        doc("Yields:\n    Each.", "for b in a:\n    yield b", "async def f(a):"),
        doc("Raises:\n    ValueError: If bad.", "raise ValueError(a)", "def f(a: int):"),
        doc("Raises:\n    ValueError: If bad.", "raise UnicodeError(a)", "def f(a: int):"),
        doc("Raises:\n    ValueError: If bad.", "raise OwnError(a)", "def f(a: int):"),
        doc("Raises:\n    ValueError: If bad.", "raise make(a)", "def f(a: int):"),
        doc("Raises:\n    ValueError: If bad.", "check(a)\nreturn a", "def f(a: int):"),
        doc("Raises:\n    ValueError: If bad.", "return int(a)", "def f(a: str):"),
        doc("Raises:\n    ValueError: If bad.", "return a.index('b')", "def f(a: str):"),
        doc("Raises:\n    ValueError: If bad.", "return b(a).strip()", "def f(a: str):"),
        doc("Raises:\n    ValueError: If bad.", "return a.strip(b(a))", "def f(a: str):"),
        doc("Raises:\n    ValueError: If bad.", "return a.strip()"),
        doc("Raises:\n    ValueError: If bad.", "return '%c' % a", "def f(a: int):"),
        doc("Raises:\n    ValueError: If bad.", "return f'{a:{b}}'", "def f(a: int, b: str):"),
        doc("Raises:\n    ValueError: If bad.", "return range(1, 2, a)", "def f(a: int):"),
        doc("Raises:\n    ValueError: If bad.", "raise", "def f(a: int):"),
        doc("Raises:\n    ValueError: If bad.", "return sum(a)", "def f(a: list[np.ndarray]):"),
        doc("Raises:\n    ValueError: If bad.", "return a + b", "def f(a: int, b):"),
        doc("Raises:\n    ValueError: If bad.", "return a + b", "def f(a: int, *b: 'Other'):"),
        doc("Raises:\n    ValueError: If bad.", "b, c = a\nreturn b", "def f(a: list[int]):"),
        doc("Raises:\n    ValueError: If bad.", "return a + 1"),
        doc("Raises:\n    ValueError: If bad.", "return a.b", "def f(a: int):"),
        doc("Raises:\n    KeyError: If not there.", "return a[1]", "def f(a: dict[int, int]):"),
        doc("Raises:\n    LookupError: If not there.", "return a[1]", "def f(a: list[int]):"),
        doc("Raises:\n    ZeroDivisionError: If empty.", "return sum(a) / len(a)", "def f(a: list[int]):"),
        doc("Raises:\n    TypeError: If bad.", "return a + 1", "def f(a: int):"),
        doc("Raises:\n    AssertionError: If bad.", "assert a", "def f(a: int):"),
        doc("Raises:\n    OwnError: If bad.", "with a:\n    return 1", "def f(a: int):"),
        doc("Raises:\n    Nothing at all.", "return a"),
        doc("Raises:\n    ValueError: If\n        KeyError: so.", "raise ValueError(a)", "def f(a: int):"),
        doc("Raises:\n    If bad.", "return a"),
        doc(":raises: whatever ValueError says", "return a"),
    ],
)
def test_right_code_is_never_refused(code: str) -> None:
    assert told(code) == ()


def test_each_promise_that_is_broken_is_told() -> None:
    text = "Returns:\n    It.\n\nRaises:\n    ValueError: If bad.\n    KeyError: If not there.\n    OSError: Of `open`."
    sentences = told(doc(text, "a = open(b)", "def f(b: int):"))
    assert len(sentences) == 1
    sentences = told(doc(text, "b = b + 1", "def f(b: int):"))
    assert [sentence.split(",")[0] for sentence in sentences] == [
        "never returns a value",
        "cannot raise ValueError",
        "cannot raise KeyError",
        "cannot raise OSError",
    ]


def test_code_that_is_long_is_answered() -> None:
    deep = doc("Raises:\n    ValueError: If bad.", "return 1" + " + a" * 2_000, "def f(a: int) -> int:")
    assert isinstance(told(deep), tuple)
    assert len(told(doc("Returns:\n    It.\n" * 20_000, "print(a)"))) == 1
