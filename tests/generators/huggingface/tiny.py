"""Tiny models of `transformers` with random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import (
    Emu3Config,
    Emu3ForConditionalGeneration,
    Emu3TextConfig,
    Emu3VQVAEConfig,
    GlmImageConfig,
    GlmImageForConditionalGeneration,
    ImageGPTConfig,
    ImageGPTForCausalImageModeling,
    JanusConfig,
    JanusForConditionalGeneration,
    JanusVisionConfig,
    JanusVQVAEConfig,
    LlamaConfig,
)

from tests.generators.checkpoints.parity import VECTORS

PAD, BOS, EOS, BOI, IMAGE, LETTERS = 0, 1, 2, 3, 4, 5
SIDE, CODES = 6, 64


def tokenise(texts: Sequence[str]) -> Mapping[str, Tensor]:
    """A token a letter, padded on the left, between the first token and the picture's first."""
    rows = [[BOS, *(LETTERS + ord(one) % 40 for one in text), BOI] for text in texts]
    length = max(map(len, rows))
    ids = torch.tensor([[PAD] * (length - len(row)) + row for row in rows])
    mask = [[0] * (length - len(row)) + [1] * len(row) for row in rows]
    return {"input_ids": ids, "attention_mask": torch.tensor(mask)}


def _janus_config(side: int) -> JanusConfig:
    return JanusConfig(
        text_config=LlamaConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            pad_token_id=PAD,
            bos_token_id=BOS,
            eos_token_id=EOS,
        ).to_dict(),
        vision_config=JanusVisionConfig(
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=side * 4,
            patch_size=4,
            num_image_tokens=side**2,
            projection_dim=32,
        ).to_dict(),
        vq_config=JanusVQVAEConfig(
            embed_dim=8,
            num_embeddings=CODES,
            latent_channels=32,
            base_channels=32,
            channel_multiplier=[1, 1],
            num_res_blocks=1,
            projection_dim=32,
            image_token_embed_dim=32,
            num_patches=side,
        ).to_dict(),
        image_token_id=IMAGE,
    )


def janus(side: int = SIDE) -> JanusForConditionalGeneration:
    """1.9 s of work for 36 tokens; codes of lengths from a half to one and a half."""
    torch.manual_seed(0)
    model = JanusForConditionalGeneration(_janus_config(side))
    model.eval()  # type: ignore[no-untyped-call]
    model.generation_config.pad_token_id = PAD
    model.generation_config.bos_token_id = BOS
    model.generation_config.eos_token_id = EOS
    model.generation_config.generation_kwargs = {"boi_token_id": BOI}  # type: ignore[attr-defined]
    for name, parameter in model.named_parameters():
        if "vqmodel" not in name and parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    codes = model.model.vqmodel.quantize.embedding.weight
    codes.data = torch.nn.functional.normalize(torch.randn(CODES, 8), dim=1)
    codes.data *= torch.rand(CODES, 1) + 0.5
    return model


ASSISTANT = 6
SAID = (  # by number
    *("<pad>", "<s>", "</s>", "<begin_of_image>", "<image_placeholder>"),
    *("<|User|>", "<|Assistant|>"),
)
TOLD = ("<unk>", ":", "a", "cat", "owl", "red", "night", "begin_of_image", "User", "<", ">", "|")


def words() -> Tokenizer:
    """Words for Janus; what is not said but steers is added to them, as published."""
    known = {word: len(SAID) + n for n, word in enumerate(TOLD)}
    tokenizer = Tokenizer(
        models.WordLevel({**dict(zip(SAID, range(7), strict=True)), **known}, "<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in SAID])
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", BOS)])
    return tokenizer


def trained() -> dict[str, Tensor]:
    """The trained codec of LlamaGen's layout by the names of Janus, whose VQ model is the same."""
    tensors = {}
    for name, tensor in load_file(VECTORS / "tiny_vqgan.safetensors").items():
        for old, new in (
            ("encoder.conv_blocks", "encoder.down"),
            ("decoder.conv_blocks", "decoder.up"),
            (".res.", ".block."),
            ("mid.0", "mid.block_1"),
            ("mid.1", "mid.attn_1"),
            ("mid.2", "mid.block_2"),
        ):
            name = name.replace(old, new)
        tensors[name] = tensor.float()
    return tensors


def save_janus(folder: Path, *, side: int = SIDE, shard: str = "1GB") -> Path:
    """A Janus in a folder, as the library saves it, whose codec reads what it drew.

    It draws all codes about as often: of fewer, the mark of a key can now and then not be read.
    """
    model = janus(side)
    model.model.generation_head.vision_head.weight.data *= 0.4
    model.model.vqmodel.load_state_dict(trained(), strict=True)
    model.save_pretrained(folder, max_shard_size=shard)
    words().save(str(folder / "tokenizer.json"))
    return folder


def imagegpt() -> ImageGPTForCausalImageModeling:
    torch.manual_seed(0)
    config = ImageGPTConfig(
        vocab_size=CODES + 1, n_positions=SIDE**2, n_embd=32, n_layer=2, n_head=2
    )
    model = ImageGPTForCausalImageModeling(config)
    model.eval()  # type: ignore[no-untyped-call]
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


WORDS = {f"<|visual token {n:06d}|>": 100 + (7 * n) % CODES for n in range(CODES)}
END = 60  # of a row


def emu3() -> Emu3ForConditionalGeneration:
    """Its words for codes are in another order than the codes."""
    torch.manual_seed(0)
    config = Emu3Config(
        text_config=Emu3TextConfig(
            vocab_size=200,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            pad_token_id=PAD,
            bos_token_id=BOS,
            eos_token_id=EOS,
        ).to_dict(),
        vq_config=Emu3VQVAEConfig(
            codebook_size=CODES,
            embed_dim=4,
            latent_channels=4,
            base_channels=32,
            channel_multiplier=[1, 1],
            num_res_blocks=1,
            hidden_size=32,
            attn_resolutions=[],
        ).to_dict(),
        vocabulary_map={**WORDS, "<|extra_200|>": END, "<image>": 61},
    )
    model = Emu3ForConditionalGeneration(config)
    model.eval()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        if "vqmodel" not in name and parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    torch.nn.init.normal_(model.model.vqmodel.quantize.embedding.weight, std=0.5)
    return model


def glm_image() -> GlmImageForConditionalGeneration:
    """Its first words are the codes."""
    torch.manual_seed(0)
    config = GlmImageConfig(
        text_config={
            "vocab_size": 120,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "vision_vocab_size": 80,
            "max_position_embeddings": 256,
            "pad_token_id": 100,
            "eos_token_id": 79,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [4, 2, 2],
                "partial_rotary_factor": 1.0,
            },
        },
        vision_config={"hidden_size": 32, "depth": 1, "num_heads": 2, "intermediate_size": 32},
        vq_config={"num_embeddings": CODES, "embed_dim": 16, "latent_channels": 32},
        image_token_id=110,
        image_start_token_id=111,
        image_end_token_id=79,
    )
    model = GlmImageForConditionalGeneration(config)
    model.eval()  # type: ignore[no-untyped-call]
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return model
