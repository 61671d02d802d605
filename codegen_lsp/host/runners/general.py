"""Any causal language model of transformers, through its own forward and DynamicCache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from codegen_lsp.host.runners import Logits, Part, logits_of

CROPPABLE = {"full_attention", "sliding_attention", "chunked_attention"}


class GeneralRunner:
    """Runner over a loaded `PreTrainedModel`."""

    goes_on = False

    def __init__(self, model: Any) -> None:
        self._model = model.eval()
        self._config = model.config.get_text_config(decoder=True)
        kinds = set(getattr(self._config, "layer_types", None) or ["full_attention"])
        # Recurrent layers keep a state that cannot be cut back: such a store only ever grows.
        self._can_crop = kinds <= CROPPABLE
        parameter = next(model.parameters())
        self.vocab_size: int = self._config.vocab_size
        self.device = str(parameter.device)
        self.dtype = str(parameter.dtype).removeprefix("torch.")
        self.kv_bytes = parameter.dtype.itemsize
        self.chunk = 128 if self.device == "cpu" else 512
        self.max_slots = 8
        drafts = (0, 0, 3) if self.device == "cpu" else (3, 3, 7)
        self.draft_tokens = drafts if self._can_crop else (0, 0, 0)

    def new_kv(self) -> Any:
        """An empty DynamicCache.

        Without a config every layer keeps all positions, so it can be cropped; the mask still applies a sliding window.
        """
        return DynamicCache() if self._can_crop else DynamicCache(config=self._config)

    def kv_length(self, kv: Any) -> int:
        """Number of ids stored."""
        return int(kv.get_seq_length())

    @torch.inference_mode()
    def run(self, parts: Sequence[Part]) -> list[list[Logits]]:
        """Append ids to stores, one part after the other; see Runner."""
        return [logits_of(self._run(part.ids, part.kv, part.num_logits)) for part in parts]

    def _run(self, ids: Sequence[int], kv: Any, num_logits: int) -> Tensor:
        batch = torch.tensor([list(ids)], device=self.device)
        logits: Tensor = self._model(
            input_ids=batch, past_key_values=kv, use_cache=True, logits_to_keep=num_logits
        ).logits
        return logits[0].float()

    def crop(self, kv: Any, length: int) -> bool:
        """Keep the first `length` ids."""
        surplus = self.kv_length(kv) - length
        if surplus == 0:
            return True
        if not self._can_crop:
            return False
        kv.crop(-surplus)
        return True

    @torch.inference_mode()
    def fork(self, kv: Any, length: int) -> Any | None:
        """Copy the first `length` ids' keys and values, each (1, heads, length, head size)."""
        if not self._can_crop:
            return None
        copy = self.new_kv()
        for number, layer in enumerate(kv.layers):
            copy.update(layer.keys[..., :length, :].clone(), layer.values[..., :length, :].clone(), number)
        return copy
