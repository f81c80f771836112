"""Evaluate log F and its gradient for many changed FFN outputs at once (METHODS 2, cost): exact, and each layer only where needed.

A batch of units is opened once: the tokens before the site are cached, and the FFN activations and outputs at the site
are read. A row is then one unit with one layer's FFN output replaced at the site. It enters behind its layer, so it
needs only the layers above; causal rows hold the site's tokens alone, masked rows whole sequences.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from rml_lama.errors import ScoreError
from rml_lama.eval.models import LoadedModel
from rml_lama.eval.passes import Rows, kept_numbers, passes
from rml_lama.eval.prefix import Layout, lay_out
from rml_lama.eval.rows import Growth, grow_rows
from rml_lama.eval.sites import Site, find_sites
from rml_lama.eval.spans import SHARE, Block, linear_maps, spanned
from rml_lama.eval.tails import Tail, find_tails
from rml_lama.eval.unit import Unit
from rml_lama.eval.vocabulary import Head
from rml_lama.eval.vocabulary_spans import with_gradient

__all__ = ["Engine", "Opened", "Rows"]

_BYTES = 1 << 30  # of activations that a pass keeps for its backward


@dataclass(frozen=True, slots=True)
class Opened:
    """A batch of units with what the model does on them unchanged.

    By layer: `activations` (units, neurons), FFN `outputs` (units, hidden) and the `rest` that they join (units, hidden).
    `log_probability` (units,) is log F, or the logit difference where units have a rival.
    """

    units: tuple[Unit, ...]
    layout: Layout
    activations: tuple[torch.Tensor, ...]
    outputs: tuple[torch.Tensor, ...]
    rest: tuple[torch.Tensor, ...]
    log_probability: torch.Tensor


class Engine:
    """A model opened for attributions; `tolerance` is their error for shared work, as a share of a path's largest gradient (0: none).

    Raises `ModelError` when the FFN neurons cannot be found; it says what was looked for.
    """

    def __init__(self, loaded: LoadedModel, *, tolerance: float = 1e-3, memory: int = _BYTES) -> None:
        self.model: Any = loaded.model
        self.encoder = bool(getattr(self.model.config, "is_encoder_decoder", False))
        self.causal = self.encoder or loaded.kind == "causal"
        self.sites: list[Site] = find_sites(self.model)
        self.head = Head(self.model)
        self.hidden = int(self.sites[0].weight.shape[0])
        self._memory = memory
        self._pad = int(getattr(loaded.tokenizer, "pad_token_id", None) or 0)
        self._takes = set(inspect.signature(self.model.forward).parameters)
        self._maps = linear_maps(site.layer for site in self.sites) if self.model.dtype in (torch.float32, torch.float64) else []
        self._tolerance = tolerance
        self._tails: list[Tail] = find_tails(self.model, self.sites, self.probe())
        self._kept = kept_numbers(self.model, self.sites, self.probe())

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """What attributions are summed in: float32, or the model's own dtype where that is wider."""
        return torch.promote_types(self.model.dtype, torch.float32)

    @torch.no_grad()
    def open(self, units: Sequence[Unit]) -> Opened:
        """Read the units' activations and cache what stands before the site.

        Units must have equally many targets, and equally many tokens from the site to the end (causal models).
        """
        layout = lay_out(self.model, units, self._takes, causal=self.causal, pad=self._pad)
        read: dict[str, dict[int, torch.Tensor]] = {name: {} for name in ("activation", "ffn", "before", "layer")}
        handles: list[Any] = []
        for site, tail in zip(self.sites, self._tails, strict=True):
            handles += self._readers(site, tail, layout.site, read)
        try:
            hidden = self.forward(layout, Growth(torch.arange(len(units), device=self.device)), lambda layer, base: None)
        finally:
            for handle in handles:
                handle.remove()
        rest = [tail.rest(read["ffn"][layer], read["layer"][layer], read["before"].get(layer)) for layer, tail in enumerate(self._tails)]
        units = tuple(units)
        value, _ = self.objective(units, layout, hidden, torch.arange(len(units), device=self.device), gradient=False)
        return Opened(units, layout, tuple(read["activation"].values()), tuple(read["ffn"].values()), tuple(rest), value)

    def evaluate(
        self, opened: Opened, rows: Mapping[int, Rows], *, gradient: bool = True, relative: bool = False
    ) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        """For each layer's rows, log F (rows,) and its gradient in the FFN's output, (rows, hidden), at least float32.

        Without `gradient` the second is empty. `relative` says that the gradient will be multiplied by F, so that it needs
        less precision where F is smaller than that of the unchanged unit.
        """
        parts: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {layer: [] for layer in sorted(rows)}
        for chunk in self._passes(opened, rows):
            for layer, found in self._pass(opened, chunk, gradient=gradient, relative=relative).items():
                parts[layer].append(found)
        return {layer: (torch.cat([a for a, _ in found]), torch.cat([b for _, b in found])) for layer, found in parts.items() if found}

    def onset(self, opened: Opened, layer: int, owner: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        """Where what a layer gives begins to saturate, from one FFN output to another, (rows, hidden) -> (rows,): see `Tail.onset`."""
        return self._tails[layer].onset(opened.rest[layer][owner], low, high)

    def unchanged(self, opened: Opened) -> torch.Tensor:
        """The gradient of log F in every layer's FFN output where nothing is changed, (layers, units, hidden): one pass."""
        units = torch.arange(len(opened.units), device=self.device)
        leaves = [torch.zeros_like(output, requires_grad=True) for output in opened.outputs]

        def added(leaf: torch.Tensor) -> Callable[..., torch.Tensor]:
            def hook(module: torch.nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
                rows = output.reshape(len(units), -1, output.shape[-1])
                return rows.index_put((units, opened.layout.site), leaf, accumulate=True).reshape(output.shape)

            return hook

        handles = [site.block.register_forward_hook(added(leaf)) for site, leaf in zip(self.sites, leaves, strict=True)]
        try:
            with torch.enable_grad():
                hidden = self.forward(opened.layout, Growth(units), lambda layer, output: None)
        finally:
            for handle in handles:
                handle.remove()
        _, slope = self.objective(opened.units, opened.layout, hidden.detach(), units, gradient=True)
        return torch.stack(torch.autograd.grad(hidden, leaves, slope.to(hidden.dtype))).to(self.dtype)

    def _pass(
        self, opened: Opened, rows: Mapping[int, Rows], *, gradient: bool, relative: bool
    ) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        base = len(opened.units)
        growth = Growth(torch.arange(base, device=self.device))
        leaves: dict[int, torch.Tensor] = {}

        def append(layer: int, output: torch.Tensor) -> torch.Tensor | None:
            if layer not in rows:
                return None
            owner = rows[layer].owner
            growth.add(owner, rows[layer].nodes)
            leaves[layer] = rows[layer].outputs.to(self.model.dtype).detach().requires_grad_(gradient)
            entering = self._tails[layer].compose(opened.rest[layer][owner], leaves[layer])  # (rows, hidden)
            if output.shape[1] == 1:
                return entering[:, None]
            place = (torch.arange(len(owner), device=self.device), opened.layout.site[owner])
            return output[owner].index_put(place, entering)

        with torch.set_grad_enabled(gradient), spanned(self._maps, growth, SHARE * self._tolerance):
            hidden = self.forward(opened.layout, growth, append)[base:]
        owner = growth.owner[base:]
        reference = opened.log_probability[owner] if relative else None
        blocks = [replace(block, start=block.start - base) for block in growth.blocks]
        value, slope = self.objective(
            opened.units, opened.layout, hidden.detach(), owner, gradient=gradient, reference=reference, blocks=blocks
        )
        order = sorted(leaves)
        values = dict(zip(order, torch.split(value, [len(leaves[layer]) for layer in order]), strict=True))
        if not gradient:
            return {layer: (part, part.new_empty(len(part), 0)) for layer, part in values.items()}
        slopes = torch.autograd.grad(hidden, [leaves[layer] for layer in order], slope.to(hidden.dtype))
        return {layer: (values[layer], part.to(self.dtype)) for layer, part in zip(order, slopes, strict=True)}

    @torch.no_grad()
    def objective(
        self,
        units: tuple[Unit, ...],
        layout: Layout,
        hidden: torch.Tensor,
        owner: torch.Tensor,
        *,
        gradient: bool,
        reference: torch.Tensor | None = None,
        blocks: Sequence[Block] = (),
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """log F (rows,) and its gradient in the last hidden states, (rows, columns, hidden), by blocks of rows.

        `reference` (rows,) is log F where the gradient will be multiplied by F.
        """
        tokens = torch.tensor([[token for _, token in unit.targets] for unit in units], device=self.device)[owner]  # (rows, targets)
        columns = layout.predicting[owner]  # (rows, targets)
        rows = torch.arange(len(owner), device=self.device)[:, None].expand_as(columns)
        flat = hidden[rows, columns].flatten(0, 1).to(self.dtype)  # (rows * targets, hidden)
        if units[0].rival is not None:
            rivals = torch.tensor([unit.rival for unit in units], device=self.device)[owner, None].expand_as(tokens)
            value, slope = self.head.difference(flat, tokens.flatten(), rivals.flatten())
        elif gradient:
            known = reference.to(flat) if reference is not None and tokens.shape[1] == 1 else None
            targets = tokens.shape[1]
            shared = (
                [replace(block, start=block.start * targets, units=block.units * targets) for block in blocks] if self._tolerance else []
            )
            value, slope = with_gradient(self.head, flat, tokens.flatten(), blocks=shared, tolerance=self._tolerance, reference=known)
        else:
            value, slope = self.head.log_probability(flat, tokens.flatten()), flat
        if not bool(torch.isfinite(value).all()):
            raise ScoreError("a row's log-probability is not finite; try --dtype float32")
        slopes = torch.zeros_like(hidden, dtype=self.dtype)
        slopes[rows, columns] = slope.view(*columns.shape, -1)
        return value.view(columns.shape).sum(-1), slopes

    def forward(
        self,
        layout: Layout,
        growth: Growth,
        append: Callable[[int, torch.Tensor], torch.Tensor | None],
        *,
        entering: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The head's input for all rows, (rows, columns, hidden); the head itself runs on nothing."""
        caught: list[torch.Tensor] = []

        def catch(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            caught.append(args[0])
            return (args[0][:, :0], *args[1:])

        cache = {} if layout.prefix is None else {"past_key_values": layout.prefix.cache(growth)}
        handle = self.head.module.register_forward_pre_hook(catch)
        try:
            with grow_rows([site.layer for site in self.sites], growth, append, entering=entering):
                self.model(**layout.inputs, **cache)
        finally:
            handle.remove()
        return caught[0]

    def _readers(self, site: Site, tail: Tail, columns: torch.Tensor, read: dict[str, dict[int, torch.Tensor]]) -> Iterator[Any]:
        units = torch.arange(len(columns), device=columns.device)

        def at_site(value: torch.Tensor) -> torch.Tensor:  # experts and OPT see (units * columns, width)
            return value.reshape(len(columns), -1, value.shape[-1])[units, columns].clone()

        def block(module: torch.nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> None:
            read["activation"][site.index] = at_site(site.activation(args))
            read["ffn"][site.index] = at_site(output)

        def before(module: torch.nn.Module, args: tuple[Any, ...]) -> None:
            read["before"][site.index] = at_site(args[0])

        def layer(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
            read["layer"][site.index] = at_site(output[0] if isinstance(output, tuple) else output)

        yield site.block.register_forward_hook(block)
        yield site.layer.register_forward_hook(layer)
        if tail.norm is not None and tail.kind == "closing":
            yield tail.norm.register_forward_pre_hook(before)

    def _passes(self, opened: Opened, rows: Mapping[int, Rows]) -> Iterator[dict[int, Rows]]:
        width = max(value.shape[1] for name, value in opened.layout.inputs.items() if name.endswith("input_ids"))
        keys = opened.layout.prefix.length if opened.layout.prefix else 0
        numbers = width * self._kept + 4 * keys * self.hidden  # that a row keeps in one layer
        return passes(rows, len(self.sites), numbers * torch.finfo(self.model.dtype).bits // 8, self._memory)

    def probe(self) -> dict[str, Any]:
        """A few tokens to run the model on."""
        ids = torch.arange(5, 9, device=self.device)[None]
        return {"input_ids": ids, "decoder_input_ids": ids[:, :2]} if self.encoder else {"input_ids": ids}
