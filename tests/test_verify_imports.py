"""Which imports generated code lacks, and where they are put so that nothing else changes."""

from __future__ import annotations

import ast
import importlib

import pytest

from codegen_lsp.verify.imports import add_imports
from codegen_lsp.verify.names import unknown_names
from codegen_lsp.verify.standard import ABSTRACT, CLASS_PARTS, MEMBERS, MODULES, SUBMODULES


def added(code: str) -> tuple[str, ...]:
    """The imports that are added to a text for all names that it lacks."""
    return add_imports(code, unknown_names("", code))[1]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("json.dumps(1)", ("import json",)),
        ("os.path.join('a')", ("import os",)),
        ("Path('a')", ("from pathlib import Path",)),
        (
            "Counter(), deque(), re.sub, defaultdict(list)",
            ("import re", "from collections import Counter, defaultdict, deque"),
        ),
        ("datetime.now()", ("from datetime import datetime",)),
        ("datetime(2020, 1, 1) - timedelta(1)", ("from datetime import datetime, timedelta",)),
        ("datetime.datetime.now()", ("import datetime",)),
        ("datetime.now() - datetime.timedelta(1)", ()),
        ("x: datetime = y()", ("from datetime import datetime",)),
        ("date.today(), timezone.utc", ("from datetime import date, timezone",)),
        ("date.year", ()),
        ("print(date)", ()),
        ("isinstance(1, date)", ("from datetime import date",)),
        ("urllib.parse.quote('')", ("import urllib.parse",)),
        ("urllib.parse.quote(''), urllib.request.urlopen", ("import urllib.parse", "import urllib.request")),
        ("urllib.quote('')", ()),
        ("xml.etree.ElementTree.parse('')", ("import xml.etree.ElementTree",)),
        ("ET.parse('')", ("import xml.etree.ElementTree as ET",)),
        ("logging.info(1), logging.handlers.A", ("import logging", "import logging.handlers")),
        ("queue.put(1)", ()),
        ("queue.Queue()", ("import queue",)),
        ("json['a'], json.get('a')", ()),
        ("string.split()", ()),
        ("string.digits", ("import string",)),
        ("time.time()", ("import time",)),
        ("time.hour", ()),
        ("f(json)", ()),
        ("np.zeros(1), pd.x, requests.get('')", ()),
        ("sleep(1), quote('')", ()),
        ("sqrt(2) * pi", ("from math import pi, sqrt",)),
        ("map(sqrt, [])", ("from math import sqrt",)),
        ("product.price", ()),
        ("product(1, 2)", ("from itertools import product",)),
        ("product([]), product[0]", ()),
        ("chain.from_iterable([])", ("from itertools import chain",)),
        ("@cache\ndef f(): pass", ("from functools import cache",)),
        ("cache['a']", ()),
        ("cache.get('a')", ()),
        (
            "@dataclass\nclass A:\n    b: list = field(default_factory=deque)",
            ("from collections import deque", "from dataclasses import dataclass, field"),
        ),
        ("def f(a: List[int]) -> Optional[Any]: pass", ("from typing import Any, List, Optional",)),
        ("def f(a: 'Decimal'): pass", ("from decimal import Decimal",)),
        ("def f(a: Iterable[int]): pass", ("from collections.abc import Iterable",)),
        ("from typing import List\ndef f(a: Iterable[int]): pass", ("from typing import Iterable",)),
        ("from typing import Any\ndef f(a: Iterable[int]): pass", ("from collections.abc import Iterable",)),
        ("def f(date): return date.year\ndef g(): return date.today()", ("from datetime import date",)),
        ("copy.deepcopy([])", ("import copy",)),
        ("copy([])", ("from copy import copy",)),
        ("copy.items()", ()),
        ("glob.glob(''), pprint(1)", ("import glob", "from pprint import pprint")),
        ("def f() -> date: pass", ("from datetime import date",)),
        ("f(sqrt)", ()),
        ("map(f, sqrt)", ("from math import sqrt",)),
        ("f(ET)", ()),
        ("a[product]", ()),
        ("from typing import List\nfrom collections.abc import Set\nx: Sized", ("from collections.abc import Sized",)),
        ("antigravity.x, this.y, unknown.z, Unknown()", ()),
        ("import json\njson.x", ()),
        ("f(", ()),
        ("'\0'", ()),
    ],
)
def test_what_is_added(code: str, expected: tuple[str, ...]) -> None:
    assert added(code) == expected


CODE = "def f():\n    return json\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import abc\nimport os\n", "import abc\nimport json\nimport os\n"),
        ("import os\nimport abc\n", "import os\nimport abc\nimport json\n"),
        ("import os\nfrom a import b\n", "import json\nimport os\nfrom a import b\n"),
        ("from abc import ABC\nimport os\n", "from abc import ABC\nimport json\nimport os\n"),
        ("from abc import ABC\nfrom re import sub\n", "import json\nfrom abc import ABC\nfrom re import sub\n"),
        ("import os\n\nimport numpy\n", "import json\nimport os\n\nimport numpy\n"),
        ("import os\nimport numpy\nimport abc\n", "import os\nimport numpy\nimport abc\nimport json\n"),
        ("import numpy\n", "import json\n\nimport numpy\n"),
        ("'''Doc.'''\n\n# Third party.\nimport numpy\n", "'''Doc.'''\n\nimport json\n\n# Third party.\nimport numpy\n"),
        ("# Licence.\nimport numpy\n", "# Licence.\nimport json\n\nimport numpy\n"),
        ("from . import a\n", "import json\n\nfrom . import a\n"),
        ("import os\n\nfrom re import sub\n", "import json\nimport os\n\nfrom re import sub\n"),
        ("import os\nimport numpy\n\nimport re\n", "import os\nimport numpy\n\nimport json\nimport re\n"),
        ("import os\nimport abc\nfrom re import sub\n", "import os\nimport abc\nimport json\nfrom re import sub\n"),
        ("import re\n\nimport os\nimport numpy\n", "import json\nimport re\n\nimport os\nimport numpy\n"),
        ("from .os import a\n", "import json\n\nfrom .os import a\n"),
        ("# Licence.\nA = 1\n", "# Licence.\n\nimport json\n\nA = 1\n"),
        ("from re import sub\nfrom abc import A\n", "from re import sub\nfrom abc import A\nimport json\n"),
        ("import os  # why\nA = 1\nimport sys\n", "import json\nimport os  # why\nA = 1\nimport sys\n"),
        ("import os; A = '''\n'''\n", "import json\nimport os; A = '''\n'''\n"),
        ("import abc; A = '''\n'''\n", "import abc; A = '''\n'''\nimport json\n"),
        ("from abc import (\n    A,\n)\n\n", "import json\nfrom abc import (\n    A,\n)\n\n"),
        ("from os import (\n    A,\n)\nimport a\n", "from os import (\n    A,\n)\nimport json\nimport a\n"),
        ("from __future__ import annotations\n", "from __future__ import annotations\n\nimport json\n\n\n"),
        ("from __future__ import a\n\nimport os\n", "from __future__ import a\n\nimport json\nimport os\n"),
        ("'''Doc.'''\n", "'''Doc.'''\n\nimport json\n\n\n"),
        ("'''Doc.'''\n\n\n", "'''Doc.'''\n\nimport json\n\n\n"),
        ("'''Doc.'''\n\nA = 1\n", "'''Doc.'''\n\nimport json\n\nA = 1\n"),
        ("", "import json\n\n\n"),
        ("\n\n", "import json\n\n\n"),
        ("#!/bin/python\n", "#!/bin/python\n\nimport json\n\n\n"),
        (
            "#!/bin/python\n# coding: utf-8\n# Does it.\n",
            "#!/bin/python\n# coding: utf-8\n\nimport json\n\n\n# Does it.\n",
        ),
        ("# Licence.\n# More.\n\n\n", "# Licence.\n# More.\n\nimport json\n\n\n"),
        ("# Does it.\n", "import json\n\n\n# Does it.\n"),
        (
            "try:\n    import a\nexcept ImportError:\n    a = 1\n",
            "import json\n\ntry:\n    import a\nexcept ImportError:\n    a = 1\n",
        ),
        ("import os\nif 1:\n    import a\nimport re\n", "import json\nimport os\nif 1:\n    import a\nimport re\n"),
        ("def g():\n    pass\n\n\nimport os\n", "import json\n\n\ndef g():\n    pass\n\n\nimport os\n"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_where_it_is_put(before: str, after: str, end: str, mark: str) -> None:
    code = CODE.replace("json", "json.dumps")
    text, expected = ((mark + part + code).replace("\n", end) for part in (before, after))
    assert add_imports(text, ["json"]) == (expected, ("import json",))


def test_only_the_names_that_are_given() -> None:
    assert add_imports("json.dumps(re.sub)", ["re"]) == ("import re\n\njson.dumps(re.sub)", ("import re",))
    assert add_imports("json.dumps(1)", ["os", "nowhere"]) == ("json.dumps(1)", ())
    text = "import os\n\nfrom re import sub\n\nPath()\n"
    assert add_imports(text, ["Path"])[0] == "import os\n\nfrom pathlib import Path\nfrom re import sub\n\nPath()\n"


def test_several_lines_find_their_places() -> None:
    text = "import os\nfrom a import b\n\nimport numpy\n\nsys.x, Counter(), re.sub, Path(), np.x"
    mended, lines = add_imports(text, unknown_names("", text))
    assert lines == ("import re", "import sys", "from collections import Counter", "from pathlib import Path")
    assert mended == text.replace(
        "import os\nfrom a import b\n",
        "import os\nimport re\nimport sys\n"
        + "from a import b\n"
        + "from collections import Counter\nfrom pathlib import Path\n",
    )


def test_no_final_line_end() -> None:
    assert add_imports("import os\njson.x()", ["json"])[0] == "import os\njson.x()"
    assert add_imports("import os\njson.dumps", ["json"])[0] == "import json\nimport os\njson.dumps"
    assert add_imports("sys.x; import os", ["sys"])[0] == "sys.x; import os\nimport sys\n"


def test_the_tables_are_true() -> None:
    skip = {"readline", "curses", "fcntl", "grp", "pwd", "resource", "termios", "tty", "msvcrt", "winreg", "tkinter"}
    for module, parts in MODULES.items():
        if module not in skip and parts:
            known = dir(importlib.import_module(module))
            assert {part for part in parts if not part.startswith("SIG")} - {"kqueue", "epoll", *known} == set(), module
    for name, module in MEMBERS.items():
        assert hasattr(importlib.import_module(module), name), name
    for name, parts in CLASS_PARTS.items():
        owner = getattr(importlib.import_module(MEMBERS[name]), name)
        assert {part for part in parts if not hasattr(owner, part)} == set()
    for name in ABSTRACT:
        assert hasattr(importlib.import_module("collections.abc"), name)
    assert not ABSTRACT & MEMBERS.keys()
    assert all(
        name.split(".")[0] in {*MODULES, "concurrent", "encodings", "http", "urllib", "wsgiref", "xml", "xmlrpc"}
        for name in SUBMODULES
    )


@pytest.mark.parametrize(
    "text", ["x = (\n1\n)\nimport os\njson.dumps", "'''d''';import os\n\njson.dumps(1)", "\fimport os\njson.dumps(1)"]
)
def test_it_still_parses(text: str) -> None:
    mended, lines = add_imports(text, ["json"])
    assert lines
    assert ast.parse(mended)
