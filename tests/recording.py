"""Makes the demo recording: the real VS Code, the real model, nothing cut or sped up. python -m tests.recording

Needs what the driven tests need (editor-clients/vscode/e2e/setup.sh) and Pillow.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from vscode_rig import (
    EDITOR_SETTINGS,
    FOLDER,
    ROOT,
    drive,
    editor,
    environment,
    install_server,
    missing,
    version,
    write,
)

TARGET = ROOT / "editor-clients" / "media" / "demo.gif"
PICTURES = ("ghost", "explain", "verified")
"""What the manual shows."""
NUM_COLOURS = 255
UNLIKE = 24
NUM_SAMPLES = 24
LAST_MS = 3000
NEAR_MS = 30
STUB = '''\
"""Small helpers."""


def median(values: list[float]) -> float:
    """The median of the values.

    >>> median([3, 1, 2])
    2
    >>> median([4, 1, 3, 2])
    2.5
    """


'''
SETTINGS: dict[str, Any] = {
    **EDITOR_SETTINGS,
    # Only what the story is about.
    "breadcrumbs.enabled": False,
    "editor.cursorBlinking": "solid",
    "editor.fontSize": 15,
    "editor.folding": False,
    "editor.glyphMargin": False,
    "editor.guides.indentation": False,
    "editor.hideCursorInOverviewRuler": True,
    "editor.inlineSuggest.showToolbar": "never",
    "editor.lineNumbersMinChars": 3,
    "editor.occurrencesHighlight": "off",
    "editor.overviewRulerBorder": False,
    "editor.renderLineHighlight": "none",
    "editor.scrollbar.horizontal": "hidden",
    "editor.scrollbar.vertical": "hidden",
    "editor.stickyScroll.enabled": False,
    "security.workspace.trust.enabled": False,
    "window.commandCenter": False,
    "window.customTitleBarVisibility": "never",
    "window.menuBarVisibility": "hidden",
    "workbench.activityBar.location": "hidden",
    "workbench.colorTheme": "Default Dark Modern",
    "workbench.editor.editorActionsLocation": "hidden",
    "workbench.layoutControl.enabled": False,
    "workbench.reduceMotion": "on",
}


def main() -> int:
    """Record, and write the animation and the manual's pictures; 1 when something is missing."""
    if what := missing():
        print(what, file=sys.stderr)
        return 1
    from PIL import Image

    with tempfile.TemporaryDirectory(prefix="codegen-recording-") as scratch:
        frames = record(Path(scratch))
        images = [Image.open(each).convert("RGB") for each in frames]
        times = [int(each.stem) for each in frames]
        images, times = without_repeats(images, times)
        animate(images, times, TARGET)
        for name in PICTURES:
            picture = Image.open(Path(scratch) / "shots" / f"{name}.png").convert("RGB")
            picture.quantize(palette=palette_of([picture]), dither=0).save(
                FOLDER / "images" / f"{name}.png", optimize=True
            )
    print(f"{TARGET.relative_to(ROOT)}: {len(images)} frames, {(times[-1] - times[0]) / 1000:.1f} s, ", end="")
    print(f"{TARGET.stat().st_size / 1024:.0f} KiB, {version()}")
    return 0


def record(home: Path) -> list[Path]:
    """The frames of the story in a scratch home, oldest first, named by their time in milliseconds."""
    workspace, frames = home / "work", home / "frames"
    for folder in (frames, home / "shots"):
        folder.mkdir()
    write(workspace / "helpers.py", STUB)
    server = [sys.executable, "-m", "codegen_lsp"]
    install_server(home, [*server, "serve"], home / "server.pid")
    write(home / "data" / "Machine" / "settings.json", '{"codegen.run_examples": true}')
    try:
        with editor(home, workspace, SETTINGS) as config:
            drive("record.mjs", home, {**config, "frames": str(frames), "shots": str(home / "shots")})
    finally:
        env = environment(home) | {"PYTHONPATH": str(ROOT)}
        subprocess.run([*server, "host", "stop"], check=False, env=env, capture_output=True)
    return sorted(frames.iterdir(), key=lambda frame: int(frame.stem))


def without_repeats(images: list[Any], times: list[int]) -> tuple[list[Any], list[int]]:
    """Frames that differ from the one before, the last of those that are too close to be told apart."""
    kept = [at for at in range(len(images)) if at == 0 or images[at].tobytes() != images[at - 1].tobytes()]
    seen = [at for at, after in pairwise(kept) if times[after] - times[at] >= NEAR_MS]
    return [images[at] for at in (*seen, kept[-1])], [times[at] for at in (*seen, kept[-1])]


def animate(images: list[Any], times: list[int], target: Path) -> None:
    """One palette for all frames, since a picture that changes its colours flickers. Times in milliseconds."""
    palette = palette_of(images[:: max(1, len(images) // NUM_SAMPLES)])
    flat = [image.quantize(palette=palette, dither=0) for image in images]
    durations = [*(after - before for before, after in pairwise(times)), LAST_MS]
    target.parent.mkdir(parents=True, exist_ok=True)
    flat[0].save(target, save_all=True, append_images=flat[1:], duration=durations, loop=0, optimize=False, disposal=1)


def palette_of(images: list[Any]) -> Any:
    """The colours that are seen most, as they are, and each unlike the others: means of them would tint the ground."""
    from PIL import Image

    counts = Counter[tuple[int, int, int]]()
    for image in images:
        counts.update({colour: number for number, colour in image.getcolors(image.width * image.height)})
    chosen: list[tuple[int, int, int]] = []
    for colour, _ in counts.most_common():
        if all(sum(abs(one - other) for one, other in zip(colour, each, strict=True)) >= UNLIKE for each in chosen):
            chosen.append(colour)
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in chosen[:NUM_COLOURS] for part in colour])
    return palette


if __name__ == "__main__":
    sys.exit(main())
