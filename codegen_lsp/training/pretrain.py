"""Train a model from a recipe; stops cleanly, resumes where it was.

    python -m codegen_lsp.training.pretrain cpu-seed --run runs/seed --tokenizer DIR --corpus DIR --minutes 90

The learning rate warms up, stays, and falls linearly to zero over the last share of the budget. Matrices are trained
with Muon (Jordan et al. 2024), embeddings and norms with AdamW. The run folder holds state.pt (weights, optimiser,
counters) and log.jsonl. SIGTERM or Ctrl-C: one last checkpoint, then the end; the same command goes on where the
schedule was. A run whose budget was used up begins a new one.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from safetensors.torch import load_file

from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training import focus
from codegen_lsp.training.batches import Source
from codegen_lsp.training.exercises.idioms import read_exercises
from codegen_lsp.training.loader import Batch, Part, stream
from codegen_lsp.training.model import EAGER, compiled, has_fast_bf16, loss_sum, new_model
from codegen_lsp.training.muon import Muon
from codegen_lsp.training.recipe import Recipe, load_recipe

SAVE_SECONDS = 240
BEFORE_COOLDOWN = "before-cooldown.pt"
"""From here a later run goes on; what has cooled down learns little more."""
LOG_STEPS = 10
STOPPED = 130
"""Exit code after a signal; the run can be resumed."""
MICRO_TOKENS = 4_096 if not torch.cuda.is_available() else 32_768
"""Tokens of one forward and backward pass; larger batches are accumulated."""
WARM_SHAPES = ((40, 320), (16, 2048), (256, 128))
"""(rows, width) of the parts with which a compiled model is made before the first batch is there."""


@dataclass
class Progress:
    """Counters that survive a restart."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    done: float = 0.0
    """Share of the present budget, 0 to 1; a run that was stopped in between goes on from here."""


class Trainer:
    """A model, its optimisers and counters; the only owner of what training changes."""

    def __init__(self, recipe: Recipe, tokenizer: FileTokenizer, vocab_size: int, device: str, lanes: int = 1) -> None:
        """`lanes`: parts of a step that run side by side, each on one core."""
        torch.manual_seed(0)
        end, self.pad = tokenizer.required("<|endoftext|>"), tokenizer.required("<|fim_pad|>")
        self.recipe, self.device = recipe, device
        self.model = new_model(recipe, vocab_size, end, self.pad).to(device)
        blocks = dict(self.model.model.layers.named_parameters())
        matrices = [weight for weight in blocks.values() if weight.ndim == 2]
        others = [weight for weight in blocks.values() if weight.ndim != 2]
        others += [self.model.model.embed_tokens.weight, self.model.model.norm.weight]
        self.is_bf16 = recipe.autocast and has_fast_bf16(device)
        self.optimizers, self.rates = _optimizers(recipe, matrices, others, self.is_bf16)
        self.progress = Progress()
        self.kernels = EAGER
        self._map: Callable[..., Iterable[torch.Tensor]] = ThreadPoolExecutor(lanes).map if lanes > 1 else map

    def step(self, batch: Batch, factor: float) -> float:
        """One optimiser step at `factor` of the full learning rate; returns the loss in nats a token."""
        # Lanes add to the same gradients: autograd locks each while it is added to.
        losses = self._map(lambda part: self._backward(part, batch.num_learnt), batch.parts)
        total = sum(losses, torch.zeros((), device=self.device))
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.progress.steps += 1
        self.progress.tokens += batch.num_tokens
        return total.item() / batch.num_learnt

    def _backward(self, part: Part, num_learnt: int) -> torch.Tensor:
        ids, counted = (each.to(self.device, non_blocking=True) for each in (part.ids, part.counted))
        with torch.autocast(self.device, torch.bfloat16, enabled=self.is_bf16):
            loss, _ = loss_sum(self.model, ids, counted, self.kernels)
        torch.autograd.backward(loss / num_learnt)
        return loss.detach()

    def compile(self, shapes: Sequence[tuple[int, int]] = WARM_SHAPES) -> None:
        """Compile what a step spends its time in, on parts of random tokens; weights stay as they are.

        Where the compiler fails the run goes on without it, slower: a machine paid by the minute is no place to stop.
        """
        self.kernels = compiled()
        try:
            for rows, width in shapes:
                ids = torch.randint(self.model.config.vocab_size, (rows, width))
                self._backward(Part(ids, torch.ones_like(ids, dtype=torch.bool), ids.numel(), ids.numel()), ids.numel())
        except Exception as error:  # of any kind: the compiler runs other programs
            traceback.print_exc()
            print(f"torch.compile failed ({type(error).__name__}): going on without", flush=True)
            self.kernels = EAGER
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def save(self, path: Path, *, is_new: bool = False) -> None:
        """Write the checkpoint: a temporary file first, so that a kill never leaves half of one.

        `is_new`: who goes on from it begins a new budget.
        """
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "progress": vars(replace(self.progress, done=0.0) if is_new else self.progress),
        }
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def start_from(self, folder: Path) -> None:
        """Take the weights of an exported model of the same shape; optimisers and counters begin anew."""
        weights = load_file(folder / "model.safetensors", self.device)
        missing, unexpected = self.model.load_state_dict(weights, strict=False)
        if unexpected or set(missing) - {"lm_head.weight"}:  # tied to the embedding, so not stored
            raise ValueError(
                f"{folder} has other weights than the recipe {self.recipe.name}: {[*missing, *unexpected][:3]}"
            )

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same recipe."""
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.progress = Progress(**state["progress"])


def _optimizers(
    recipe: Recipe, matrices: list[torch.Tensor], others: list[torch.Tensor], is_bf16: bool
) -> tuple[tuple[torch.optim.Optimizer, ...], tuple[float, ...]]:
    """Muon for the matrices and AdamW for the rest, or AdamW for all, with their learning rates."""
    if recipe.optimizer == "adamw":
        matrices, others = [], [*others, *matrices]
    elif recipe.optimizer != "muon":
        raise ValueError(f"optimizer is muon or adamw, not {recipe.optimizer!r}")
    adam = torch.optim.AdamW(others, lr=recipe.adam_lr, betas=(0.9, 0.95), weight_decay=0.0)
    if not matrices:
        return (adam,), (recipe.adam_lr,)
    muon = Muon(matrices, recipe.muon_lr, dtype=torch.bfloat16 if is_bf16 else torch.float32)
    return (muon, adam), (recipe.muon_lr, recipe.adam_lr)


def rate_factor(done: float, steps_here: int, warmup_steps: int, cooldown: float) -> float:
    """Share of the full learning rate at `done` (0 to 1) of the budget."""
    warm = min(1.0, (steps_here + 1) / max(warmup_steps, 1))
    cool = min(1.0, (1.0 - done) / cooldown) if cooldown else 1.0
    return max(0.0, min(warm, cool))


def train(trainer: Trainer, source: Source, args: argparse.Namespace) -> bool:
    """Run until the budget of minutes or steps is used (True), or a signal arrives (False)."""
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopped.append(received))
    started, saved, losses = time.monotonic(), time.monotonic(), list[float]()
    batches = stream(source, trainer.pad, args.workers, _part_tokens(trainer.recipe, args.lanes))
    seconds_before, first_step = trainer.progress.seconds, trainer.progress.steps
    done_before = trainer.progress.done if trainer.progress.done < 1 else 0.0
    is_cooling = done_before >= 1 - args.cooldown
    source.cooling.value = is_cooling
    log = (args.run / "log.jsonl").open("a", encoding="utf-8", buffering=1)
    with log:
        if args.compile:
            trainer.compile()
        for batch in batches:
            elapsed, here = time.monotonic() - started, trainer.progress.steps - first_step
            done = done_before + max(elapsed / (60 * args.minutes), here / args.steps if args.steps else 0.0)
            trainer.progress.done = min(1.0, done)
            if done >= 1.0 or stopped:
                break
            if not is_cooling and done >= 1 - args.cooldown:
                is_cooling = source.cooling.value = True
                trainer.save(args.run / BEFORE_COOLDOWN, is_new=True)
            factor = args.rate * rate_factor(done, here, trainer.recipe.warmup_steps, args.cooldown)
            losses.append(trainer.step(batch, factor))
            trainer.progress.seconds = seconds_before + time.monotonic() - started
            if trainer.progress.steps % LOG_STEPS == 0:
                row = {**vars(trainer.progress), "loss": sum(losses) / len(losses), "rate": factor}
                log.write(json.dumps({key: round(value, 4) for key, value in row.items()}) + "\n")
                losses.clear()
            if time.monotonic() - saved > SAVE_SECONDS:
                trainer.save(args.run / "state.pt")
                saved = time.monotonic()
    trainer.save(args.run / "state.pt")
    return not stopped


def _part_tokens(recipe: Recipe, lanes: int) -> int:
    """Tokens of one forward pass: a lane's share of a step at most."""
    return min(MICRO_TOKENS, -(-recipe.batch_tokens // lanes))


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(
        prog="pretrain", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("recipe", help="a row of recipes.toml")
    options.add_argument("--run", type=Path, required=True, help="folder of the run; resumed when it holds state.pt")
    options.add_argument("--init", type=Path, help="model folder whose weights a new run starts from")
    options.add_argument("--tokenizer", type=Path, required=True, help="folder with tokenizer.json")
    options.add_argument("--corpus", type=Path, help="folder with train-*.jsonl.xz; without it, exercises alone")
    options.add_argument("--minutes", type=float, default=1.0, help="budget of this call (default: 1)")
    options.add_argument("--steps", type=int, default=0, help="stop after so many steps of this call")
    options.add_argument(
        "--cooldown", type=float, default=0.35, help="last share of the budget in which the rate falls"
    )
    options.add_argument("--rate", type=float, default=1.0, help="share of the recipe's learning rates (default: 1)")
    options.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the recipe, e.g. muon_lr=0.01, mix.psm=0.5",
    )
    options.add_argument("--exercises", type=float, help="share of samples from exercises, instead of the recipe's")
    options.add_argument("--items", type=Path, help="executed exercises: what exercises.validate --out wrote")
    options.add_argument(
        "--focus",
        type=int,
        default=0,
        metavar="N",
        help="measure N fillings of each idiom first and draw more of what is known least",
    )
    options.add_argument(
        "--threads", type=int, help="1 when the machine does other work: a second thread then costs more than it gives"
    )
    options.add_argument(
        "--lanes",
        type=int,
        default=1,
        help="parts of a step side by side, each on a core of its own (then --threads is 1)",
    )
    options.add_argument("--workers", type=int, default=0, help="processes that make batches; 0: this one (default)")
    options.add_argument("--compile", action="store_true", help="torch.compile the model's blocks: pays on a GPU")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry."""
    args = parser().parse_args(argv)
    recipe = load_recipe(args.recipe, args.set)
    if args.exercises is not None:
        recipe = replace(recipe, exercises=args.exercises)
    if args.threads or args.lanes > 1:
        torch.set_num_threads(args.threads or 1)
    args.run.mkdir(parents=True, exist_ok=True)
    text = (args.tokenizer / "tokenizer.json").read_text(encoding="utf-8")
    tokenizer = FileTokenizer(text)
    trainer = Trainer(recipe, tokenizer, tokenizer.vocab_size, args.device, args.lanes)
    if (args.run / "state.pt").exists():
        trainer.load(args.run / "state.pt")
    elif args.init:
        trainer.start_from(args.init)
    exercises = [item for item in read_exercises(args.items) if not item.is_held_out] if recipe.exercises else []
    seed = args.seed + trainer.progress.steps
    measured = focus.idiom_bits(trainer.model, tokenizer, exercises, args.focus, seed) if args.focus else {}
    source = Source(args.corpus, exercises, recipe, tokenizer, seed, focus=focus.chances(measured))
    num = sum(weight.numel() for weight in trainer.model.parameters())
    print(f"{recipe.name}: {num / 1e6:.1f}M parameters, {len(exercises)} exercises, from step {trainer.progress.steps}")
    is_done = train(trainer, source, args)
    print(f"step {trainer.progress.steps}, {trainer.progress.tokens} tokens, {trainer.progress.seconds / 60:.1f} min")
    return 0 if is_done else STOPPED


if __name__ == "__main__":
    sys.exit(main())
