"""Tiny models of images and texts as transformers saves them, with untrained weights, and pictures for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 32
NAMES = ("red fox", "blue whale", "green frog", "grey owl", "black cat")
_SAID = "a an the of photo picture close up good one drawing this is . class"
_WORDS = [*_SAID.split(), *" ".join(NAMES).split(), "white", "okapi", "zebra"]
_SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def image_text(folder: Path, kind: str = "clip", seed: int = 0) -> Path:
    """A model of `kind` clip or siglip, with tokenizer and preparation of pictures."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast, SiglipConfig, SiglipModel

    vocabulary = {
        word: index for index, word in enumerate(["<pad>", *_WORDS, "<unknown>", "<start>", "<end>"])
    }
    start, end = vocabulary["<start>"], vocabulary["<end>"]
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    inner.normalizer = normalizers.Lowercase()  # type: ignore[assignment]
    inner.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    inner.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single="<start> $A <end>", special_tokens=[("<start>", start), ("<end>", end)]
    )
    names = ["input_ids", "attention_mask"] if kind == "clip" else ["input_ids"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<end>", model_input_names=names
    )
    tokenizer.save_pretrained(folder)
    text = _SMALL | {"vocab_size": end + 1, "max_position_embeddings": 64}
    text |= {"eos_token_id": end, "bos_token_id": start, "pad_token_id": 0}
    vision = _SMALL | {"image_size": SIDE, "patch_size": 8}
    torch.manual_seed(seed)
    model: Any
    if kind == "clip":
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
        model.logit_scale.data.fill_(3.0)
    else:
        model = SiglipModel(SiglipConfig(text_config=text | {"projection_size": 24}, vision_config=vision))
        model.logit_scale.data.fill_(2.0)
        model.logit_bias.data.fill_(-1.5)
    for name, parameter in model.named_parameters():  # untrained, all texts would be nearly alike
        if "embedding" in name or "proj" in name:
            parameter.data.normal_(std=0.5)
    model.eval().save_pretrained(folder)
    prepared: dict[str, Any] = {"do_resize": True, "do_rescale": True, "do_normalize": True, "resample": 3}
    prepared |= {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], "rescale_factor": 1 / 255}
    if kind == "clip":
        prepared |= {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": SIDE}}
        prepared |= {"do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE}}
    else:
        prepared |= {"image_processor_type": "SiglipImageProcessor", "size": {"height": SIDE, "width": SIDE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))
    return folder


def pictures(folder: Path, names: Sequence[str] = NAMES, each: int = 6, seed: int = 0) -> Path:
    """A folder with one folder of pictures a class, each class of a colour of its own."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        colour = np.random.default_rng(number).integers(0, 256, size=(1, 1, 3))
        for index in range(each):
            noise = rng.integers(-60, 60, size=(41 + 3 * index, 50, 3))
            Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8)).save(
                folder / name / f"{index}.png"
            )
    return folder
