"""What files of each language define."""

from __future__ import annotations

import random

import pytest

from codegen_lsp.syntax.definitions import definitions
from codegen_lsp.syntax.parse import parse_whole

SOURCES = {
    "python": '''LIMIT: int = 3


@cached
def area(
    width,
    height=1,
):
    """The area.

    More.
    """
    def inner():
        pass


class Circle(Base):
    # Half of it.
    async def radius(self) -> float:
        return 1
''',
    "javascript": """/** The sum. */
export function add(a, b) {
  return a + b;
}
const twice = (x) => 2 * x;
class Shape extends Base {
  area() { return 1; }
}
""",
    "typescript": """export interface Named { name: string }
type Id = string | number;
export class Box<T> {
  // What is in it.
  get(): T { return this.value; }
}
function id(x: Id): Id { return x; }
""",
    "go": """package main

// Point is a place.
type Point struct {
	X int
}

// Add adds.
func (p *Point) Add(other Point) Point {
	return other
}

const Limit = 3
""",
    "rust": """/// A place.
pub struct Point { x: i32 }

impl Point {
    /// Its length.
    pub fn length(&self) -> i32 { self.x }
}

const LIMIT: usize = 3;
""",
    "java": """/** A place. */
public class Point {
  /** Its length. */
  public int length() { return 1; }
}
""",
    "c": """/* Adds. */
static int add(int a, int b)
{
    return a + b;
}

struct point { int x; };
""",
    "cpp": """class Shape {
public:
    // Its size.
    double area() const { return 1; }
};
""",
    "ruby": """# A place.
class Point < Base
  # Its length.
  def length(unit)
    1
  end
end
""",
    "shellscript": """# Say hello.
hello() {
  echo hello
}
""",
}

EXPECTED = {
    "python": [
        ("LIMIT", "constant", "", "LIMIT: int = 3", ""),
        ("area", "function", "", "def area(width, height=1)", "The area."),
        ("Circle", "class", "", "class Circle(Base)", ""),
        ("radius", "method", "Circle", "async def radius(self) -> float", "Half of it."),
    ],
    "javascript": [
        ("add", "function", "", "export function add(a, b)", "The sum."),
        ("twice", "function", "", "const twice = (x)", ""),
        ("Shape", "class", "", "class Shape extends Base", ""),
        ("area", "method", "Shape", "area()", ""),
    ],
    "typescript": [
        ("Named", "class", "", "export interface Named", ""),
        ("Id", "type", "", "type Id = string | number", ""),
        ("Box", "class", "", "export class Box<T>", ""),
        ("get", "method", "Box", "get(): T", "What is in it."),
        ("id", "function", "", "function id(x: Id): Id", ""),
    ],
    "go": [
        ("Point", "class", "", "type Point struct", "Point is a place."),
        ("Add", "method", "Point", "func (p *Point) Add(other Point) Point", "Add adds."),
        ("Limit", "constant", "", "const Limit = 3", ""),
    ],
    "rust": [
        ("Point", "class", "", "pub struct Point", "A place."),
        ("length", "method", "Point", "pub fn length(&self) -> i32", "Its length."),
        ("LIMIT", "constant", "", "const LIMIT: usize = 3", ""),
    ],
    "java": [
        ("Point", "class", "", "public class Point", "A place."),
        ("length", "method", "Point", "public int length()", "Its length."),
    ],
    "c": [
        ("add", "function", "", "static int add(int a, int b)", "Adds."),
        ("point", "class", "", "struct point", ""),
    ],
    "cpp": [
        ("Shape", "class", "", "class Shape", ""),
        ("area", "method", "Shape", "double area() const", "Its size."),
    ],
    "ruby": [
        ("Point", "class", "", "class Point < Base", "A place."),
        ("length", "method", "Point", "def length(unit)", "Its length."),
    ],
    "shellscript": [
        ("hello", "function", "", "hello()", "Say hello."),
    ],
}
"""(name, kind, parent, signature, doc)."""


@pytest.mark.parametrize("language", SOURCES)
def test_definitions(language: str) -> None:
    text = SOURCES[language]
    found = definitions(parse_whole(text, language), "a.x")
    assert [(each.name, each.kind, each.parent, each.signature, each.doc) for each in found] == EXPECTED[language]
    assert all(each.name in each.span.of(text) for each in found)


@pytest.mark.parametrize("language", SOURCES)
def test_definitions_of_broken_code(language: str) -> None:
    """They never fail, and their spans lie within the text."""
    rng, text = random.Random(language), SOURCES[language]
    for _ in range(60):
        cut = list(text)
        for _ in range(rng.randint(1, 12)):
            at = rng.randrange(len(cut))
            cut[at : at + rng.randrange(4)] = rng.choice(["", "(", "}", '"', "\n", "\r", "é", "/*", "def "])
        broken = "".join(cut)
        for each in definitions(parse_whole(broken, language), "a.x"):
            assert 0 <= each.span.start <= each.span.end <= len(broken)


def test_a_language_without_a_grammar_defines_nothing() -> None:
    assert definitions(parse_whole("x = 1\n", "lua"), "a.lua") == []
