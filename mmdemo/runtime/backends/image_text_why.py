"""What a vision-language model or captioner says of its answers: where in the picture each word comes from.

A model that puts the tokens of a picture among its words is asked at its language model, a captioner at what its eye
gives: |∇f · f| of the logarithm of the word's probability (arXiv:1605.01713), and the same probability when the tokens
of the picture are masked, or the eye gives nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmdemo.errors import Unsupported
from mmdemo.fusion.pixels import colours
from mmdemo.results import Reason, Sights
from mmdemo.runtime.backends import picture_places, spoken

MOST = 256
"""Tokens of an answer that are explained."""
BOTH_WAYS = ("paligemma",)
"""Model types whose words of a prompt look at each other in both directions (arXiv:2407.07726)."""
EYES = ("vision_model", "vision_tower", "encoder")
"""What a captioner's eye is called."""


def explained(
    model: Any, tokenizer: Any, inputs: Mapping[str, Any], answer: str, image: Image.Image | None
) -> tuple[tuple[Reason, ...], tuple[str, ...]]:
    """The reasons for each word of an answer, and its tokens.

    Args:
        tokenizer: of transformers, fast.
        inputs: what the model is given for this one picture, as `generate` takes it.
        image: the picture; None where a sound is given instead.

    Raises:
        InputError: the answer has no words or too many.
        Unsupported: its picture cannot be told from its words.
    """
    lead = _lead(tokenizer, inputs)
    encoding = tokenizer.backend_tokenizer.encode(lead + answer, add_special_tokens=False)
    spoken.check(answer, len(encoding.ids), MOST)
    ids = torch.tensor([encoding.ids], device=model.device)
    model.requires_grad_(False)
    name = "image_token_id" if image else "audio_token_id"
    route = _among_words if getattr(model.config, name, None) is not None else _by_eye
    modality = "vision" if image else "audio"
    # what was computed while generating may not be learned from: everything is computed anew
    with torch.inference_mode(False), torch.enable_grad():
        logs, leaf, places, without = route(model, {key: _own(value) for key, value in inputs.items()}, ids, name)
        made = []
        for text, own in spoken.words(lead + answer, encoding.offsets):
            (slope,) = torch.autograd.grad(logs[own].sum(), leaf, retain_graph=True)
            counted = (slope * leaf).float().sum(-1)[0].abs()[places].detach().cpu().numpy()
            if image is None:
                over = counted[None]
            elif route is _among_words:
                over = picture_places.over_picture(counted, dict(inputs), model.config, image.size)
            else:
                over = picture_places.grid(counted)
            looked = (over / max(float(over.sum()), 1e-12))[None].astype(np.float32)
            numbers = logs.detach().float().cpu().numpy()
            made.append(spoken.reason(text, own, numbers, {modality: looked}, {modality: without}))
    pieces = tuple((lead + answer)[start:end] for start, end in encoding.offsets)
    return tuple(made), pieces


def sights(processor: Any, inputs: Mapping[str, Any], image: Image.Image, tokens: Sequence[str]) -> Sights:
    """What the eye is given, the whole picture first: its tiles, or it in the size that is cut into patches."""
    values = inputs["pixel_values"]
    maker: Any = getattr(processor, "image_processor", None) or processor.pictures
    if values.ndim >= 4:
        frames = values.float().cpu().numpy().reshape(-1, *values.shape[-3:])
        shown = colours(frames, maker.image_mean, maker.image_std)
        return Sights((shown[-1], *shown[:-1]), tokens=tuple(tokens))
    _, rows, columns = (int(number) for number in inputs["image_grid_thw"][0])
    resized = image.resize((columns * maker.patch_size, rows * maker.patch_size), Image.Resampling.BICUBIC)
    return Sights((np.asarray(resized, np.uint8),), tokens=tuple(tokens))


Route = tuple[Tensor, Tensor, Any, Any]
"""Logarithms of the tokens' probabilities, (tokens,); what they are looked for in, (1, positions, channels); which of
its positions are the picture's; the logarithms without the picture."""


def _among_words(model: Any, inputs: dict[str, Any], ids: Tensor, name: str = "image_token_id") -> Route:
    """Of a model that reads the picture's tokens among its words."""
    both = model.config.is_encoder_decoder
    asked = _begun(model, inputs, ids) if both else _appended(inputs, ids)
    talking = _language_model(model)
    with _caught(talking.encoder if both else talking) as caught, torch.no_grad():
        model(**asked, use_cache=False)
    given: dict[str, Any] = caught[0]
    if both:
        given = {name: given[name] for name in ("inputs_embeds", "attention_mask")}
        given["decoder_input_ids"] = asked["decoder_input_ids"]
    elif model.config.model_type in BOTH_WAYS:
        given["attention_mask"] = _prefix_mask(inputs["input_ids"].shape[1], given["inputs_embeds"])
    places = inputs["input_ids"][0] == getattr(model.config, name)
    if given.get("inputs_embeds") is None or not places.any():
        raise Unsupported("This model's picture cannot be told from its words: choose another to ask why.")
    where = torch.nn.functional.pad(places, (0, given["inputs_embeds"].shape[1] - len(places)))
    leaf = given["inputs_embeds"].detach().clone().requires_grad_()
    logs = _logs(model, talking, given | {"inputs_embeds": leaf}, ids)
    blind = torch.where(where[:, None], 0, given["inputs_embeds"])
    masked = _masked(given.get("attention_mask"), where, leaf.dtype)
    with torch.no_grad():
        without = _logs(model, talking, given | {"inputs_embeds": blind, "attention_mask": masked}, ids)
    return logs, leaf, where, without.float().cpu().numpy()


def _by_eye(model: Any, inputs: dict[str, Any], ids: Tensor, name: str = "") -> Route:
    """Of a captioner, which looks at what its eye gives while it writes."""
    eye = next((getattr(model, name) for name in EYES if hasattr(model, name)), None)
    if eye is None:
        raise Unsupported("This model's eye is not known here: choose another to ask why.")
    leaves: list[Tensor] = []

    def given(_: Any, __: Any, output: Any) -> Any:
        if not leaves:
            leaves.append(output["last_hidden_state"].detach().clone().requires_grad_())
        else:
            leaves.append(torch.zeros_like(leaves[0]))
        output["last_hidden_state"] = leaves[-1]
        return output

    asked = _begun(model, inputs, ids)
    handle = eye.register_forward_hook(given)
    try:
        logs = _chosen(model(**asked).logits, ids)
        with torch.no_grad():
            without = _chosen(model(**asked).logits, ids)
    finally:
        handle.remove()
    return logs, leaves[0], torch.ones(leaves[0].shape[1], dtype=torch.bool), without.float().cpu().numpy()


def _begun(model: Any, inputs: dict[str, Any], ids: Tensor) -> dict[str, Any]:
    """The inputs, with the answer for the decoder to have written so far."""
    config = model.config
    if config.model_type == "blip":
        begin, name = config.text_config.bos_token_id, "input_ids"
    else:
        begin = getattr(model.generation_config, "decoder_start_token_id", None)
        begin = config.decoder_start_token_id if begin is None else begin
        name = "decoder_input_ids"
    first = torch.full((1, 1), int(begin), dtype=torch.long, device=ids.device)
    return inputs | {name: torch.cat([first, ids[:, :-1]], dim=1)}


def _appended(inputs: dict[str, Any], ids: Tensor) -> dict[str, Any]:
    """The inputs, with the answer after the prompt."""
    length, more = inputs["input_ids"].shape, dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, Tensor) and value.shape == length:
            last = ids if name == "input_ids" else torch.full_like(ids, 1 if name == "attention_mask" else 0)
            more[name] = torch.cat([value, last.to(value)], dim=1)
    return more


def _language_model(model: Any) -> Any:
    within = getattr(model, "model", model)
    named = next((getattr(within, name) for name in ("language_model", "text_model") if hasattr(within, name)), None)
    return named if named is not None else model.get_decoder()


@contextmanager
def _caught(module: Any) -> Iterator[list[dict[str, Any]]]:
    """The named arguments that a module is called with."""
    found: list[dict[str, Any]] = []
    handle = module.register_forward_pre_hook(lambda _, args, given: found.append(dict(given)), with_kwargs=True)
    try:
        yield found
    finally:
        handle.remove()


def _logs(model: Any, talking: Any, given: dict[str, Any], ids: Tensor) -> Tensor:
    """(tokens,): what the language model, given this, says of each token of the answer."""
    last = talking(**given).last_hidden_state
    kept = last if model.config.is_encoder_decoder else last[:, -ids.shape[1] - 1 : -1]
    return _chosen(model.get_output_embeddings()(kept), ids)


def _chosen(logits: Tensor, ids: Tensor) -> Tensor:
    return logits.float().log_softmax(-1).gather(-1, ids[..., None])[0, :, 0]


def _prefix_mask(prompt: int, embeds: Tensor) -> Tensor:
    """(1, 1, n, n): all look at the prompt, and at what stands before them; 0 or so little that nothing is seen."""
    count = embeds.shape[1]
    seen = torch.ones(count, count, dtype=torch.bool, device=embeds.device).tril()
    seen[:, :prompt] = True
    least = torch.finfo(embeds.dtype).min
    return torch.zeros(1, 1, count, count, dtype=embeds.dtype, device=embeds.device).masked_fill(~seen, least)


def _masked(mask: Any, where: Tensor, dtype: torch.dtype) -> Any:
    """An attention mask of any kind, in which nothing looks at some positions."""
    if isinstance(mask, Mapping):
        return {name: _masked(one, where, dtype) for name, one in mask.items()}
    if mask is None:
        return (~where)[None].long()
    if mask.ndim == 2:
        return torch.where(where[None], 0, mask)
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)
    return mask.masked_fill(where, torch.finfo(mask.dtype).min)


def _lead(tokenizer: Any, inputs: Mapping[str, Any]) -> str:
    """A space before the answer, where the prompt ends without one."""
    if "input_ids" not in inputs or "decoder_input_ids" in inputs:
        return ""
    end = tokenizer.decode(inputs["input_ids"][0][-1:].tolist())
    return "" if not end or end[-1].isspace() or end.strip() in tokenizer.all_special_tokens else " "


def _own(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
