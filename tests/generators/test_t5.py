from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from generators.t5 import NoEncoder, T5States

WORDS = ("<pad>", "</s>", "<unk>", "a", "red", "cat", "owl")


def saved(folder: Path) -> Path:
    """A tiny encoder with random weights, and a tokenizer of words."""
    torch.manual_seed(0)
    words = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = T5Config(vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(folder)
    return folder


def test_states_are_those_of_the_text_and_padding_is_told(tmp_path: Path) -> None:
    encode = T5States(saved(tmp_path), places=5)
    states, valid = encode(["a red cat", "owl"])
    assert states.shape == (2, 5, 16)
    assert valid.tolist() == [[True, True, True, False, False], [True] + [False] * 4]
    alone, _ = encode(["owl"])
    torch.testing.assert_close(states[1, :1], alone[0, :1])


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    states, valid = T5States(saved(tmp_path), places=2)(["a red cat"])
    assert (states.shape, valid.all().item()) == ((1, 2, 16), True)


def test_a_folder_without_an_encoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoEncoder, match=f"{tmp_path} holds no T5 encoder"):
        T5States(tmp_path)
