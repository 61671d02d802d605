"""The VS Code extension: its settings are the server's, it calls nobody else; and in VS Code itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Script
from vscode_rig import FOLDER, Rig, skip_unless_set_up, version

from codegen_lsp.server.door import COMMANDS
from codegen_lsp.settings import MAX_LIST, MAX_STRING, RULES, Settings, parse
from codegen_lsp.syntax.endings import LANGUAGES

PACKAGE: dict[str, Any] = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
CONTRIBUTES = PACKAGE["contributes"]
PROPERTIES: dict[str, dict[str, Any]] = CONTRIBUTES["configuration"]["properties"]
OURS = {name.removeprefix("codegen."): row for name, row in PROPERTIES.items() if name.startswith("codegen.")}
"""The server's settings, by the server's names; `codegenClient.` are the extension's own."""
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in sorted((FOLDER / "src").rglob("*.[jt]s"))}
SOURCE = "\n".join(SOURCES.values())

JSON_TYPES: dict[type, str] = {bool: "boolean", str: "string", int: "integer", float: "number", list: "array"}
WORDS = (
    "text",
    "automatic",
    "cuda:1",
    "cuda:1000",
    "xpu",
    "float64",
    "https://a.org",
    "unix:/x",
    "ftp://x",
    "a\tb",
    "1X",
    "X1",
)
SAMPLES = (None, True, "", *WORDS, 1, 2, 2.5, [], ["a"], [1])
"""Values of every kind: what the editor lets through and what the server takes has to be the same."""
MAY_BE_WEAKENED = {"disabled_languages", "disabled_globs"}
"""Lists: an editor puts a workspace's in the place of the user's, where the server would add them up."""
NETWORK = re.compile(
    r"\bfetch\(|XMLHttpRequest|WebSocket|https?:|node:(https?|net|tls|dgram|dns)|\brequire\(|telemetry", re.I
)


def accepts(row: dict[str, Any], value: object) -> bool:
    """Whether a JSON schema of the kind that settings have accepts a value."""
    types = row["type"] if isinstance(row["type"], list) else [row["type"]]
    if value is None or (value == "" and "string" not in types):
        return "null" in types  # The server takes an empty string for no number: nothing that an editor would send.
    name = JSON_TYPES[type(value)]
    if name not in types and not (name == "integer" and "number" in types):
        return False
    if isinstance(value, list):
        return len(value) <= row["maxItems"] and all(accepts(row["items"], item) for item in value)
    if isinstance(value, str):
        fits = re.search(row.get("pattern", ""), value) and len(value) <= row.get("maxLength", MAX_STRING)
        return bool(fits) and value in row.get("enum", [value])
    return bool(row.get("minimum", value) <= value <= row.get("maximum", value))


def around(row: dict[str, Any]) -> list[object]:
    """Values next to the limits of a row, on both sides, and its choices."""
    limits = [row[name] for name in ("minimum", "maximum") if name in row]
    near: list[object] = [limit + step for limit in limits for step in (-1, 0, 1)]
    return [
        *near,
        *row.get("enum", ()),
        "x" * MAX_STRING,
        "x" * (MAX_STRING + 1),
        ["a"] * MAX_LIST,
        ["a"] * (MAX_LIST + 1),
    ]


def test_every_setting_of_the_server_is_one_of_the_extension() -> None:
    assert set(OURS) == set(RULES)
    assert all(row["description"] for row in PROPERTIES.values())


def test_the_defaults_are_the_servers() -> None:
    defaults = {name: row["default"] for name, row in OURS.items()}
    assert parse(defaults, base=Settings(enabled=False, disabled_globs=("x",))) == (Settings(), [])


@pytest.mark.parametrize("name", RULES)
def test_the_editor_takes_what_the_server_takes(name: str) -> None:
    for value in [*SAMPLES, *around(OURS[name])]:
        is_taken = not parse({name: value})[1]
        assert accepts(OURS[name], value) == is_taken, f"{name} = {str(value)[:40]!r}"


@pytest.mark.parametrize("name", RULES)
def test_what_is_the_users_alone_is_read_from_the_user_alone(name: str) -> None:
    row, restricted = OURS[name], PACKAGE["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"]
    if RULES[name].safer is None or name in MAY_BE_WEAKENED:
        assert row["scope"] == "machine"
    else:
        assert "scope" not in row
        assert f"codegen.{name}" in restricted, "an untrusted workspace could set it"


def test_the_server_is_started_by_the_users_setting_alone() -> None:
    others = set(PROPERTIES) - {f"codegen.{name}" for name in OURS}
    assert others == {"codegenClient.serverCommand"}
    assert PROPERTIES["codegenClient.serverCommand"]["scope"] == "machine"
    assert "isTrusted: vscode.workspace.isTrusted" in SOURCE


def test_what_runs_code_comes_from_the_user_alone() -> None:
    settled = [name for name, rule in RULES.items() if rule.is_settled]
    assert f"USERS_ALONE = {json.dumps(settled)}" in SOURCE


def test_every_command_has_a_handler_and_the_other_way_round() -> None:
    offered = {row["command"] for row in CONTRIBUTES["commands"]}
    handled = re.findall(r'^    "(codegen-lsp\.\w+)": \(', SOURCES["extension.ts"], re.M)
    assert sorted(offered) == sorted(handled)
    assert all(row["title"] for row in CONTRIBUTES["commands"])


def test_only_commands_that_exist_are_called() -> None:
    assert set(re.findall(r'"(codegen\.[a-z]+[A-Z]\w*|codegen\.status|codegen\.inspect)"', SOURCE)) <= set(COMMANDS)
    ours = {row["command"] for row in CONTRIBUTES["commands"]}
    called = set(re.findall(r"codegen-lsp\.\w+", SOURCE + json.dumps(CONTRIBUTES["walkthroughs"])))
    assert called - ours == {"codegen-lsp.status", "codegen-lsp.exe"}, "the status bar item, and a file"


def test_the_walkthrough_is_there() -> None:
    (walkthrough,) = CONTRIBUTES["walkthroughs"]
    pages = {FOLDER / step["media"]["markdown"] for step in walkthrough["steps"]}
    assert pages == set((FOLDER / "media").glob("*.md"))


def test_it_wakes_for_the_languages_that_the_server_knows() -> None:
    assert set(PACKAGE["activationEvents"]) == {f"onLanguage:{language}" for language in LANGUAGES.values()}


@pytest.mark.parametrize("name", SOURCES)
def test_it_talks_to_nobody_but_the_server(name: str) -> None:
    assert not NETWORK.search(SOURCES[name])
    assert "eval(" not in SOURCES[name]


@pytest.mark.parametrize("name", [path.name for path in sorted((FOLDER / "src" / "pure").iterdir())])
def test_the_pure_parts_know_no_editor(name: str) -> None:
    imported = set(re.findall(r'^import .* from "(.*)";', SOURCES[name], re.M))
    assert imported <= {"node:path"}


def test_the_lock_file_names_no_server() -> None:
    lock = (FOLDER / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert '"integrity"' in lock


def test_the_extensions_own_tests() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < 20:
        pytest.skip(f"node {version.strip()} is too old: 20 or later is needed")
    tests = sorted((FOLDER / "test").glob("*.test.js"))
    command = [node, "--test", "--test-reporter=tap", *map(str, tests)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=FOLDER)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert re.search(r"^# pass [1-9]\d+$", done.stdout, re.M), done.stdout[-500:]


# In the real VS Code


@pytest.fixture
def rig(tmp_path: Path, record_property: Callable[[str, object], None]) -> Rig:
    skip_unless_set_up()
    record_property("version", version())
    return Rig(tmp_path)


MENU = [
    "Explain the last suggestion",
    "Switch off",
    "Switch off for python",
    "Switch off for this file",
    "Restart the server",
    "Restart the model",
    "Show the output",
    "First steps",
]


@pytest.mark.timeout(400)
def test_ghost_text_is_taken_whole_by_the_word_and_by_the_line_and_a_comment_by_an_action(rig: Rig) -> None:
    rig.install_server(Script(answer="first = 1\nsecond = 2\nthird = 3\n"))
    seen = rig.drive("open", "accept", "acceptWord", "acceptLine", "actOnComment")
    assert seen["ghost"] == "first = 1\nsecond = 2\nthird = 3"
    assert seen["afterWord"] == " = 1\nsecond = 2\nthird = 3"
    assert seen["beforeLine"] == "first = 1\nsecond = 2\nthird = 3"
    assert seen["afterLine"] == "second = 2\nthird = 3"
    text = rig.file.read_text(encoding="utf-8")
    whole = "first = 1\nsecond = 2\nthird = 3"
    parts = ("import os", "# the answer", whole, "# another one", "first", "# some more", "first = 1", "")
    assert text == "\n".join((*parts, "# by an action", whole))


@pytest.mark.timeout(400)
def test_an_explicit_request_brings_several_to_choose_from(rig: Rig) -> None:
    first, *others = answers = [f"chosen = {number}\n" for number in range(3)]
    rig.install_server(Script(answer=first, others=others))
    seen = rig.drive("open", "cycle")
    assert seen["cycled"] == [answer.strip() for answer in (*answers, first)], "after the last one comes the first one"
    assert rig.file.read_text(encoding="utf-8").endswith(f"# one of several\n{answers[2].strip()}")


@pytest.mark.timeout(400)
def test_a_docstring_is_implemented_and_its_examples_are_run(rig: Rig) -> None:
    rig.install_server(Script(answer="return sum(values)\n"))
    rig.set_machine({"codegen.run_examples": True})
    seen = rig.drive("open", "act", "explainAction")
    text = rig.file.read_text(encoding="utf-8")
    assert text.split("def total")[1].split('"""')[2].rstrip() == "\n    return sum(values)"
    assert re.fullmatch(r"total: (verified 1/1 example|unverified, .*sandbox.*)", seen["verdict"])
    assert seen["verdict"].removeprefix("total: ").partition(",")[0] in seen["explained"]
    assert "return sum(values)" in seen["explained"]


@pytest.mark.timeout(400)
def test_the_status_bar_and_the_menu_behind_it(rig: Rig) -> None:
    rig.install_server(Script(answer="answer = 42\n", load_s=2.0, delay_s=1.0, log=str(rig.log)))
    steps = ("explain", "openMenu", "restart", "restartModel", "output", "fileOff", "languageOff", "off", "firstSteps")
    seen = rig.drive("open", "accept", *steps)
    assert seen["ghost"] == "answer = 42"
    assert (seen["menu"], seen["menuSays"]) == (MENU, "Ready (scripted)")
    for part in (
        "main.py",
        "comment-above, one block",
        "90 % sure",
        "answer = 42",
        "# the answer",
        "suffix",
        "generate",
    ):
        assert part in seen["explained"]
    assert re.search(r"Where the time went *[\d.]+ ms", seen["explained"])
    assert len({"rgba(0, 0, 0, 0)", *seen["scale"]}) == 11, "ten colours that are seen, from unsure to sure"
    assert seen["colours"] == seen["scale"][-1:], "one token, of 90 %"
    assert "[info] starting " in seen["output"]
    assert seen["ghostsWhileOff"] == 0
    states = (
        "The server is starting",
        "The model is loading",
        "Thinking (scripted)",
        "Ready (scripted)",
        "Switched off",
    )
    assert {f"codegen-lsp: {state}" for state in states} <= set(seen["labels"])
    assert seen["fileOff"] == "codegen-lsp: Switched off for this file"
    assert seen["languageOff"] == "codegen-lsp: Switched off for python"
    assert rig.settings("User")["codegen.enabled"] is False
    assert rig.settings("Machine")["codegen.disabled_languages"] == []
    assert seen["steps"] == [step["title"] for step in CONTRIBUTES["walkthroughs"][0]["steps"]]
    assert rig.log.read_text(encoding="utf-8").count("close\n") >= 2, "of the server, and of the model alone"
    assert not rig.canary.exists()


@pytest.mark.timeout(400)
def test_without_a_model_the_status_bar_says_why(rig: Rig) -> None:
    rig.install_server(Script(unavailable="no such model"))
    assert rig.drive("look", "broken")["broken"] == "codegen-lsp: no such model"


@pytest.mark.timeout(400)
def test_without_a_server_the_user_is_told_what_to_do(rig: Rig) -> None:
    seen = rig.drive("look", "missing")
    assert "pip install ." in seen["message"]
    assert not rig.canary.exists(), "the workspace brought a server along, and it was started"


@pytest.mark.timeout(400)
def test_a_server_that_dies_is_started_again(rig: Rig) -> None:
    rig.install_server(Script(answer="answer = 42\n", log=str(rig.log)))
    seen = rig.drive("open", "crash", "accept")
    assert seen["ghost"] == "answer = 42"
