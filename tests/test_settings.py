"""Settings: what is read, what is refused with a sentence, and what a workspace may ask for."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest

from codegen_lsp.core import Trigger
from codegen_lsp.settings import RULES, Settings, parse

ROOT = Path(__file__).resolve().parent.parent


def value(settings: Settings, name: str) -> Any:
    group = RULES[name].group
    return getattr(getattr(settings, group) if group else settings, name)


@pytest.mark.parametrize(
    ("raw", "name", "expected"),
    [
        ({"enabled": False}, "enabled", False),
        ({"model": "qwen"}, "model", "qwen"),
        ({"engine": {"model": "~/models/x"}}, "model", "~/models/x"),
        ({"codegen": {"engine": {"device": "cuda:1"}}}, "device", "cuda:1"),
        ({"codegen.engine.dtype": "bfloat16"}, "dtype", "bfloat16"),
        ({"endpoint": "http://127.0.0.1:8000/v1"}, "endpoint", "http://127.0.0.1:8000/v1"),
        ([], "enabled", True),
        ({"endpoint": None}, "endpoint", None),
        ({"endpoint": ""}, "endpoint", None),
        ({"apiKeyEnv": "VLLM_KEY"}, "api_key_env", "VLLM_KEY"),
        ({"idle_exit_s": 60}, "idle_exit_s", 60.0),
        ({"maxTokens": 64}, "max_tokens", 64),
        ({"max_tokens": 64.0}, "max_tokens", 64),
        ({"completion": {"temperature": 0.5}}, "temperature", 0.5),
        ({"trigger": "invoked"}, "trigger", Trigger.INVOKED),
        ({"debounceMs": 0}, "debounce_ms", 0.0),
        ({"minConfidence": 0.25}, "min_confidence", 0.25),
        ({"hideUnsure": False}, "hide_unsure", False),
        ({"disabledLanguages": ["markdown"]}, "disabled_languages", ("markdown",)),
        ({"disabledGlobs": []}, "disabled_globs", ()),
        ({"run_examples": True}, "run_examples", True),
        ({"verify": {"runExamples": True}}, "run_examples", True),
        ({"codegen.verify.run_examples": True}, "run_examples", True),
        ({"suggestions": 1}, "suggestions", 1),
        ({"completion": {"multiline": "invoked"}}, "multiline", "invoked"),
        ({"candidates": 20}, "candidates", 20),
        ({"codegen": {"verify": {"candidates": 1}}}, "candidates", 1),
    ],
)
def test_reads(raw: object, name: str, expected: object) -> None:
    settings, problems = parse(raw)
    assert problems == []
    assert value(settings, name) == expected


@pytest.mark.parametrize(
    "raw",
    [
        {"enabled": "yes"},
        {"model": 3},
        {"model": "a\0b"},
        {"endpoint": "ftp://x"},
        {"endpoint": 5},
        {"apiKeyEnv": "sk-12 34"},
        {"device": "tpu"},
        {"dtype": "int4"},
        {"idleExitS": 0},
        {"maxTokens": 0},
        {"maxTokens": 1.5},
        {"maxTokens": True},
        {"maxTokens": 10**400},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"trigger": "always"},
        {"trigger": []},
        {"debounceMs": -1},
        {"minConfidence": 2},
        {"runExamples": 1},
        {"suggestions": 0},
        {"suggestions": 6},
        {"multiline": True},
        {"multiline": []},
        {"candidates": 0},
        {"candidates": 21},
        {"disabledLanguages": "python"},
        {"disabledGlobs": [1]},
        {"disabledGlobs": ["x"] * 1001},
        {"unknown": 1},
        {"engine": 3},
        {"engine": {"engine": {"engine": {"model": "x"}}}},
        [1],
        "text",
        7,
    ],
)
def test_a_bad_value_is_one_problem_and_the_default_stays(raw: object) -> None:
    settings, problems = parse(raw)
    assert settings == Settings()
    assert len(problems) == 1


def test_a_bad_value_does_not_cost_the_good_ones() -> None:
    settings, problems = parse({"maxTokens": "x", "model": "m"})
    assert settings.engine.model == "m"
    assert problems == ["max_tokens: expected a number from 1 to 4096"]


@pytest.mark.parametrize(
    "raw",
    [
        {"model": "evil"},
        {"endpoint": "http://evil"},
        {"api_key_env": "AWS_SECRET"},
        {"device": "cpu"},
        {"dtype": "float32"},
        {"idle_exit_s": 9},
        {"temperature": 2},
        {"run_examples": True},
        {"run_examples": False},
    ],
)
def test_a_workspace_does_not_touch_the_engine_nor_run_anything(raw: object) -> None:
    settings, problems = parse(raw, trusted=False)
    assert settings == Settings()
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("raw", "name", "expected"),
    [
        ({"enabled": False}, "enabled", False),
        ({"max_tokens": 16}, "max_tokens", 16),
        ({"max_tokens": 4000}, "max_tokens", 128),
        ({"trigger": "invoked"}, "trigger", Trigger.INVOKED),
        ({"debounce_ms": 1}, "debounce_ms", 5.0),
        ({"debounce_ms": 100}, "debounce_ms", 100.0),
        ({"min_confidence": 0.5}, "min_confidence", 0.5),
        ({"hide_unsure": False}, "hide_unsure", True),
        ({"look_ahead": False}, "look_ahead", False),
        ({"suggestions": 2}, "suggestions", 2),
        ({"suggestions": 5}, "suggestions", 3),
        ({"multiline": "never"}, "multiline", "never"),
        ({"candidates": 2}, "candidates", 2),
        ({"candidates": 20}, "candidates", 5),
        ({"disabled_globs": []}, "disabled_globs", Settings().disabled_globs),
        ({"disabled_globs": ["x"]}, "disabled_globs", (*Settings().disabled_globs, "x")),
    ],
)
def test_a_workspace_makes_things_only_smaller(raw: object, name: str, expected: object) -> None:
    settings, problems = parse(raw, trusted=False)
    assert problems == []
    assert value(settings, name) == expected


def test_what_comes_later_can_only_switch_off_what_runs_code() -> None:
    later, problems = parse({"run_examples": True, "candidates": 7}, is_start=False)
    assert (later.verify.run_examples, later.verify.candidates, len(problems)) == (False, 7, 1)
    user, _ = parse({"run_examples": True})
    assert parse({"run_examples": True}, base=user, is_start=False) == (user, [])
    off, problems = parse({"run_examples": False}, base=user, is_start=False)
    assert (off.verify.run_examples, problems) == (False, [])


def test_a_workspace_cannot_undo_what_the_user_chose() -> None:
    user, _ = parse({"enabled": False, "trigger": "invoked"})
    settings, _ = parse({"enabled": True, "trigger": "automatic"}, base=user, trusted=False)
    assert settings == user


def test_never_raises() -> None:
    rng = random.Random(1)
    junk: list[Any] = [None, True, -1, 1e308, "x", "\ud800", [], [[]], {}, {"a": {}}, math.nan, 10**30]
    names = [*RULES, "engine", "completion", "codegen", "\0", ""]
    for _ in range(2000):
        raw = {rng.choice(names): rng.choice(junk) for _ in range(rng.randrange(6))}
        settings, _ = parse(raw, trusted=rng.random() < 0.5)
        assert isinstance(settings, Settings)


@pytest.mark.parametrize(
    ("path", "is_refused"),
    [
        ("a.py", False),
        (".env", True),
        ("sub/.env", True),
        ("x/id_rsa", True),
        ("deep/a/key.pem", True),
        ("env.py", False),
    ],
)
def test_secrets_are_refused(path: str, is_refused: bool) -> None:
    assert (Settings().refusal("python", path) is not None) is is_refused


def test_defaults_of_the_vscode_extension_are_ours() -> None:
    package = json.loads((ROOT / "editor-clients" / "vscode" / "package.json").read_text(encoding="utf-8"))
    properties = package["contributes"]["configuration"]["properties"]
    given = {name.removeprefix("codegen."): row["default"] for name, row in properties.items() if "Client" not in name}
    assert len(given) >= 7
    assert parse(given) == (Settings(), [])
    assert all(row["description"] for row in properties.values())


def test_the_readme_lists_all_settings() -> None:
    table = ROOT.joinpath("README.md").read_text().partition("### Settings\n")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    said = {name: row[2].strip() for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    assert set(said) == set(RULES)
    plain = {name: read for name, text in said.items() if (read := _json(text)) is not None}
    assert plain == {name: json.loads(json.dumps(value(Settings(), name))) for name in plain}
    assert len(plain) > 10


def _json(text: str) -> Any:
    try:
        return json.loads(text.strip("`"))
    except ValueError:
        return None
