"""A sentence encoder that is made here."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch


def tiny_encoder(folder: Path, words: Sequence[str], name: str = "encoder") -> Path:
    """An untrained transformer with a vocabulary of a few words and mean pooling: sentences to 16 dimensions."""
    from sentence_transformers import SentenceTransformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer versions keep them elsewhere
        from sentence_transformers.models import Pooling, Transformer
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertModel(BertConfig(vocab_size=5 + len(words), **sizes))
    model.save_pretrained(folder / "plain")
    BertTokenizerFast(str(vocabulary)).save_pretrained(folder / "plain")
    word = Transformer(str(folder / "plain"))
    SentenceTransformer(modules=[word, Pooling(16)], device="cpu").save_pretrained(str(folder / name))
    return folder / name
