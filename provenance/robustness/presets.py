"""The attack sets of the literature, under their names.

A preset holds what runs on a CPU from packages alone and names what it leaves out. WAVES counts
its strengths from 0 to 1 on a line; the tuples hold them at 0.2, 0.4, 0.6, 0.8 and 1.
docs/attacks.md is the same as a table.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance.errors import ProvenanceError
from provenance.robustness.attacks import Attack, find


class UnknownPreset(ProvenanceError):
    """No preset has this name."""


@dataclass(frozen=True)
class Preset:
    """Names of attacks, where they come from, and what of the source is not run."""

    names: tuple[str, ...]
    source: str
    left_out: tuple[str, ...] = ()

    def attacks(self) -> tuple[Attack, ...]:
        """The attacks in order."""
        return tuple(find(name) for name in self.names)


PRESETS: dict[str, Preset] = {
    "house": Preset(
        source="what a picture meets on its way; the strengths our own bars are set at",
        names=(
            "none",
            *("jpeg-75", "jpeg-50", "jpeg-25", "webp-50"),
            *("noise-0.05", "blur-kernel-7", "blur-sigma-1", "blur-sigma-2"),
            *("brightness-1.5", "contrast-1.5", "erase-0.1", "resize-0.5"),
            *("crop-0.75", "crop-corner-0.75", "shift-1", "shift-3", "flip", "rotate-3"),
            *("realesrgan-2", "screenshot", "social"),
        ),
    ),
    "waves": Preset(
        source="An et al., WAVES, ICML 2024: distortions.py; combinations at one strength each",
        names=(
            "none",
            *("rotate-9", "rotate-18", "rotate-27", "rotate-36", "rotate-45"),
            *("crop-0.9", "crop-0.8", "crop-0.7", "crop-0.6", "crop-0.5"),
            *("erase-0.05", "erase-0.1", "erase-0.15", "erase-0.2", "erase-0.25"),
            *("brightness-1.2", "brightness-1.4", "brightness-1.6"),
            *("brightness-1.8", "brightness-2"),
            *("contrast-1.2", "contrast-1.4", "contrast-1.6", "contrast-1.8", "contrast-2"),
            *("blur-radius-4", "blur-radius-8", "blur-radius-12"),
            *("blur-radius-16", "blur-radius-20"),
            *("noise-0.02", "noise-0.04", "noise-0.06", "noise-0.08", "noise-0.1"),
            *("jpeg-74", "jpeg-58", "jpeg-42", "jpeg-26", "jpeg-10"),
            *("rotate-9+crop-0.9+erase-0.05", "rotate-27+crop-0.7+erase-0.15"),
            *("brightness-1.2+contrast-1.2", "brightness-1.6+contrast-1.6"),
            *("blur-radius-4+noise-0.02+jpeg-74", "blur-radius-12+noise-0.06+jpeg-42"),
            "rotate-9+crop-0.9+erase-0.05+brightness-1.2+contrast-1.2"
            "+blur-radius-4+noise-0.02+jpeg-74",
        ),
        left_out=(
            "Regen-Diffusion, with prompt, 2x and 4x rinsing (Stable Diffusion 1.4)",
            "Regen-VAE and 4x (bmshj2018, cheng2020), Regen-KLVAE and 4x",
            "AdvEmb on ResNet-18, CLIP, KL-VAE f8 and f16, SDXL-VAE",
            "AdvCls with the surrogates UnWM-WM, Real-WM, WM1-WM2",
        ),
    ),
    "wmar": Preset(
        source="Jovanovic et al., NeurIPS 2025, arXiv 2506.16349: augmentation_manager.py",
        names=(
            "none",
            *(f"blur-kernel-{k}" for k in range(1, 20, 2)),
            *("noise-0.025", "noise-0.05", "noise-0.075", "noise-0.1"),
            *("noise-0.125", "noise-0.15", "noise-0.175", "noise-0.2"),
            *(f"jpeg-{q}" for q in (100, 95, 85, 75, 65, 55, 45, 35, 25, 15, 5)),
            *("brightness-1.25", "brightness-1.5", "brightness-1.75", "brightness-2"),
            *("brightness-2.25", "brightness-2.5", "brightness-2.75", "brightness-3"),
            *(f"rotate-{d}" for d in (-20, -15, -10, -5, 5, 10, 15, 20)),
            "flip",
            *(f"crop-corner-{s / 100:g}" for s in range(95, 45, -5)),
        ),
        left_out=(
            "bmshj2018-factorized and -hyperprior, mbt2018 and -mean, cheng2020-anchor and -attn",
            "SD-VAE ft-EMA, SDXL-VAE, DC-AE, FLUX-VAE",
            "DiffPure at t .01, .05, .1, .2, .3",
        ),
    ),
    "indexmark": Preset(
        source="IndexMark, arXiv 2505.14673, table 1 and attack_val.py",
        names=(
            "none",
            *("blur-sigma-1", "noise-0.01", "jpeg-70", "brightness-jitter-0.5", "erase-noise-0.1"),
            "crop-aspect-0.75",
        ),
        left_out=("a blur kernel of 11 px: its Gaussian of sigma 1 is cut at 4 px here, not at 5",),
    ),
    "bitmark": Preset(
        source="BitMark, NeurIPS 2025, arXiv 2506.21209: robustness_test.py",
        names=(
            "none",
            *("noise-0.1", "blur-kernel-7", "jpeg-75", "flip", "flip-vertical"),
            *("brightness-jitter-0.6", "crop-aspect-0.7"),
            *("rotate-30", "rotate-90", "rotate-150"),
            *("jpeg-50", "jpeg-30", "jpeg-10", "blur-kernel-19", "noise-0.2"),
        ),
        left_out=(
            "SD-VAE, CtrlRegen at .5",
            "contrast, saturation and hue of the colour jitter; rotation at random in +-180",
            "BitFlipper (it needs the bits of Infinity)",
        ),
    ),
    "clustermark": Preset(
        source="ClusterMark, CVPR 2026, arXiv 2508.06656: distortions_v2.py",
        names=(
            "none",
            *("jpeg-82", "jpeg-25", "jpeg-20", "median-7", "noise-0.05", "noise-0.1", "noise-0.2"),
            *("blur-radius-3", "blur-radius-4", "salt-pepper-0.05", "salt-pepper-0.1"),
            *("brightness-3", "contrast-2", "hue-0.1", "saturation-1.5"),
            *("crop-0.6", "crop-0.9", "erase-0.6", "rotate-3", "rotate-75"),
        ),
        left_out=(
            "regeneration by diffusion",
            "drop .6, as published: here it is 60 % of the area erased in one piece",
        ),
    ),
    "omniseal": Preset(
        source="OmniSeal as DistSeal runs it, arXiv 2601.16140: scripts/attacks.yaml",
        names=(
            "none",
            "flip",
            *(f"rotate-{d}" for d in (5, 10, 30, 45, 90)),
            *(f"scale-{s}" for s in ("0.32", "0.45", "0.55", "0.63", "0.71")),
            *(f"scale-{s}" for s in ("0.77", "0.84", "0.89", "0.95")),
            *(f"cut-{s}" for s in ("0.32", "0.45", "0.55", "0.63", "0.71")),
            *(f"cut-{s}" for s in ("0.77", "0.84", "0.89", "0.95")),
            *(f"perspective-0.{d}" for d in range(1, 9)),
            *(
                f"brightness-{f}"
                for f in ("0.1", "0.25", "0.5", "0.75", "1.25", "1.5", "1.75", "2")
            ),
            *(f"contrast-{f}" for f in ("0.1", "0.25", "0.5", "0.75", "1.25", "1.5", "1.75", "2")),
            *(
                f"saturation-{f}"
                for f in ("0.1", "0.25", "0.5", "0.75", "1.25", "1.5", "1.75", "2")
            ),
            "grey",
            *(f"hue--0.{d}" for d in range(4, 0, -1)),
            *(f"hue-0.{d}" for d in range(1, 6)),
            *(f"jpeg-{q}" for q in range(40, 100, 10)),
            *(f"blur-kernel-{k}" for k in (3, 5, 9, 13, 17)),
            *(f"jpeg-{q}+cut-0.71+brightness-0.5" for q in (40, 60, 80)),
        ),
    ),
    "combinations": Preset(
        source="in the manner of SynthID-Image, arXiv 2510.09263: families combined, one threshold",
        names=(
            "none",
            *("jpeg-75+resize-0.7", "crop-0.8+jpeg-75", "rotate-2+jpeg-75", "flip+jpeg-75"),
            *("brightness-1.3+contrast-1.3+jpeg-75", "noise-0.03+blur-kernel-5+jpeg-75"),
            *("saturation-1.5+gamma-0.8+webp-60", "crop-0.8+brightness-1.3+jpeg-60"),
            *("screenshot+jpeg-60", "social+screenshot"),
        ),
        left_out=("the 30 transforms themselves: their parameters are not published",),
    ),
    "markdiffusion": Preset(
        source="MarkDiffusion 1.0.2, JMLR 2026: the defaults of its image attacks",
        names=(
            "none",
            *("jpeg-95", "rotate-30", "crop-0.8", "blur-radius-2", "noise-0.098"),
            *("brightness-1.2", "erase-0.1"),
        ),
        left_out=(
            "five masks and ten strokes instead of one rectangle, adaptive noise",
            "diffusion purification, cheng2020-anchor",
        ),
    ),
    "regeneration": Preset(
        source="drawn anew on a CPU: Real-ESRGAN and denoising, alone and after noise",
        names=(
            "none",
            *("realesrgan-2", "realesrgan-3", "realesrgan-4", "resize-0.5+realesrgan-2"),
            *("nonlocal-means-0.05", "nonlocal-means-0.1", "bilateral-0.1", "median-3"),
            *("noise-0.05+nonlocal-means-0.1", "noise-0.1+nonlocal-means-0.15"),
            "noise-0.05+realesrgan-2",
        ),
        left_out=("DiffPure, CtrlRegen and every other diffusion model",),
    ),
}


def preset(name: str) -> Preset:
    """The preset of this name; UnknownPreset lists the names there are."""
    if name not in PRESETS:
        raise UnknownPreset(f"no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]
