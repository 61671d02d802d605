"""Samples to groups of token ids, each for one forward pass.

Samples are never chopped or joined: those of about the same length wait for each other and are padded on the right,
where a causal model cannot see it. So no mask is needed and no sample sees another.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

from codegen_lsp.core import Context
from codegen_lsp.prompt.formats import BY_NAME, PREFIX, SUFFIX, Format
from codegen_lsp.prompt.render import render
from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training.corpus import Document, read_shard, train_shards
from codegen_lsp.training.exercises.forms import PATHS, Piece, bare, chain, forms_of, vary
from codegen_lsp.training.exercises.forms import render as render_exercise
from codegen_lsp.training.exercises.idioms import Exercise, Words, by_idiom, load_idioms
from codegen_lsp.training.exercises.rename import NEVER, Renaming, joined
from codegen_lsp.training.neighbours import neighbours
from codegen_lsp.training.recipe import Mix, Recipe
from codegen_lsp.training.samples import Sample, from_document
from codegen_lsp.training.tokenizer import SPECIALS

SPM = BY_NAME["codegen"]
PSM = replace(SPM, template=("<|fim_prefix|>", PREFIX, "<|fim_suffix|>", SUFFIX, "<|fim_middle|>"))
WIDTHS = (32, 48, 64, 80, 96, 112, *range(128, 256, 32), *range(256, 512, 64), *range(512, 1024, 128))
WIDTHS += (*range(1024, 2048, 256), *range(2048, 8193, 512))
"""Rows are padded to one of these: a tenth of the tokens at most, and a compiled model meets few shapes."""
MAX_REPEATED = 48
"""Tokens that are said twice, at most."""
MIN_LOSS_FROM = 3
"""Where the loss begins for samples that are learnt whole: behind the first control tokens."""


@dataclass(frozen=True)
class Row:
    """Token ids of one sample, and the half-open spans of positions that are targets of the loss."""

    ids: tuple[int, ...]
    learnt: tuple[tuple[int, int], ...]

    @property
    def num_learnt(self) -> int:
        """Targets of the loss."""
        return sum(end - start for start, end in self.learnt)


def encode(sample: Sample, tokenizer: FileTokenizer, fmt: Format, learn_all: bool) -> Row:
    """Prompt (by the product's own render), middle and end token."""
    prompt = render(sample.context, fmt, tokenizer)
    ids = (*prompt.ids, *tokenizer.encode(sample.middle))
    ids += (tokenizer.required("<|endoftext|>"),) if sample.is_complete else ()
    return Row(ids, ((MIN_LOSS_FROM if learn_all else len(prompt.ids), len(ids)),))


def encode_chain(chain: Sequence[Piece], path: str, tokenizer: FileTokenizer) -> Row:
    """A file in which one order after the other is carried out: SPM with an empty suffix.

    Pieces meet at line ends or behind indentation, where the tokenizer splits too, so the ids are those of the whole
    text. Only the answers are learnt, not what stands between them: a finished answer is followed by the end token.
    """
    prompt = render(Context(path, "python", "", ""), SPM, tokenizer)
    ids, learnt = list(prompt.ids), []
    for piece in chain:
        start = len(ids)
        ids += tokenizer.encode(piece.text)
        if piece.is_learnt:
            learnt.append((start, len(ids)))
    ids.append(tokenizer.required("<|endoftext|>"))
    learnt[-1] = (learnt[-1][0], len(ids))
    return Row(tuple(ids), tuple(learnt))


def corpus_samples(folder: Path, mix: Mix, rng: random.Random, share: tuple[int, int] = (0, 1)) -> Iterator[Sample]:
    """Samples of the training shards (of a share of their files), for ever, in an order that depends on the seed.

    All files are held in memory (a gigabyte) and shuffled: neighbours in a shard are of one package, and a run of steps
    on one package unlearns the others. A shard that arrives while it runs is taken up at once.
    """
    known: list[Path] = []
    documents: list[Document] = []
    packages: dict[str, list[Document]] = {}
    while True:
        for shard in [path for path in train_shards(folder) if path not in known]:
            known.append(shard)
            for document in itertools.islice(read_shard(shard), share[0], None, share[1]):
                documents.append(document)
                packages.setdefault(document.package, []).append(document)
        rng.shuffle(documents)
        for document in documents:
            for sample in from_document(document, rng, mix):
                is_shown = mix.snippets and rng.random() < mix.snippets
                others = packages[document.package] if is_shown else ()
                snippets = neighbours(sample.prefix, document.path, others, rng.randrange(1, 4), rng)
                yield replace(sample, snippets=snippets) if snippets else sample
            if len(train_shards(folder)) > len(known):
                break


def exercise_stream(
    exercises: Sequence[Exercise], topics: Mapping[str, float], idioms: Mapping[str, float], rng: random.Random
) -> Iterator[Exercise]:
    """Exercises for ever; idioms are equally likely, however many fillings they have, but for chances given.

    `topics`, `idioms`: chance (0 to 1) that one is taken when its turn comes; 1 for what is not named.
    """
    grouped = by_idiom(exercises)
    while True:
        for name in rng.sample(list(grouped), len(grouped)):
            exercise = rng.choice(grouped[name])
            if rng.random() <= topics.get(exercise.topic, 1.0) * idioms.get(name, 1.0):
                yield exercise


def exercise_rows(
    stream: Iterator[Exercise], mix: Mix, tokenizer: FileTokenizer, rng: random.Random, renaming: Renaming = NEVER
) -> Iterator[Row]:
    """Exercises in all forms and phrasings, alone (with a suffix, or the cursor inside) or several to a file."""
    while True:
        if rng.random() < mix.chains:
            several = [next(stream) for _ in range(rng.randrange(2, 8))]
            path = rng.choice(PATHS) if rng.random() < 0.5 else ""
            pieces = bare(several, rng, renaming) if rng.random() < mix.bare else []
            yield encode_chain(pieces or chain(several, rng, renaming=renaming), path, tokenizer)
            continue
        exercise, others = next(stream), [next(stream) for _ in range(rng.choice((0, 0, 1, 2)))]
        ask, form = vary(rng.choice(exercise.asks), rng), rng.choice(forms_of(exercise))
        sample = render_exercise(renaming.apply(exercise, form, rng), form, ask, others, rng).sample
        sample = _split_inside(sample, rng) if rng.random() < mix.inside else sample
        yield encode(sample, tokenizer, PSM if rng.random() < mix.psm else SPM, learn_all=False)


def repeated(vocab_size: int, rng: random.Random) -> Row:
    """Random tokens, said twice; the second time is learnt.

    Nothing but looking back helps here, so it trains the heads that copy (induction: Olsson et al. 2022), over the
    whole vocabulary. A model that knows a few names for each thing does without them, and fails on all other names.
    """
    ids = tuple(rng.randrange(len(SPECIALS), vocab_size) for _ in range(rng.randrange(4, MAX_REPEATED)))
    return Row(ids + ids, ((len(ids) + 1, 2 * len(ids)),))


def _split_inside(sample: Sample, rng: random.Random) -> Sample:
    """The same with the cursor at any character of the answer."""
    at = rng.randrange(len(sample.middle))
    return replace(sample, prefix=sample.prefix + sample.middle[:at], middle=sample.middle[at:])


@dataclass
class Source:
    """Where rows come from: a corpus folder (None: exercises alone) and exercises, mixed as the recipe says."""

    corpus: Path | None
    exercises: Sequence[Exercise]
    recipe: Recipe
    tokenizer: FileTokenizer
    seed: int
    share: tuple[int, int] = (0, 1)
    """(k, n): every n-th corpus file from the k-th on."""
    focus: Mapping[str, float] = field(default_factory=dict)
    """Chance that an idiom is taken when its turn comes, by its name; 1 for those not named."""
    cooling: Any = field(default_factory=lambda: RawValue("b"))
    """Its value becomes 1 when the rate begins to fall; worker processes see it too."""

    def rows(self) -> Iterator[Row]:
        """Encoded samples for ever; what does not fit the context is left out, not cut."""
        # One stream of chance for each: another share of one does not change what the other draws.
        which, theirs, ours = (random.Random(f"{self.seed} {name}") for name in ("which", "corpus", "own"))
        recipe, mix = self.recipe, self.recipe.mix
        shares = (recipe.exercises, recipe.exercises if (late := recipe.cooldown_exercises) is None else late)
        corpus = corpus_samples(self.corpus, mix, theirs, self.share) if self.corpus else None
        stream = exercise_stream(self.exercises, recipe.topics, self.focus, ours)
        renaming = Renaming(mix.renamed, joined(Words.of(load_idioms()).names, ours)) if mix.renamed else NEVER
        own = exercise_rows(stream, mix, self.tokenizer, ours, renaming)
        while True:
            if mix.repeated and which.random() < mix.repeated:
                row = repeated(self.tokenizer.vocab_size, ours)
            elif corpus is None or (self.exercises and which.random() < shares[self.cooling.value]):
                row = next(own)
            else:
                fmt = PSM if theirs.random() < mix.psm else SPM
                row = encode(next(corpus), self.tokenizer, fmt, learn_all=True)
            if len(row.ids) <= recipe.context:
                yield row


def groups(rows: Iterator[Row], group_tokens: int) -> Iterator[list[Row]]:
    """Rows of one width (of WIDTHS) each, as many as fill `group_tokens` with their padding, at least one."""
    waiting: dict[int, list[Row]] = {}
    for row in rows:
        width = width_of(len(row.ids))
        group = waiting.setdefault(width, [])
        group.append(row)
        if (len(group) + 1) * width > group_tokens:
            yield waiting.pop(width)


def width_of(num: int) -> int:
    """The width to which a row of `num` tokens is padded."""
    return next((width for width in WIDTHS if width >= num), num)
