# One machine, pip and venv alone. A user with a GPU sets TORCH, e.g. make demo TORCH=torch
PYTHON ?= python3
TORCH  ?= torch==2.13.0
BIN    := .venv/bin
# Real photographs are not part of this repository: a folder, and a CSV with file, split (train,
# calib) and permissive (1, 0). Without them the photograph rows are left out.
PHOTOS ?=
INDEX  ?=
ICONS  := .data/fluent-emoji-3d/package/assets
REAL   := $(if $(PHOTOS),--photographs $(PHOTOS) --index $(INDEX))
CHECKPOINTS := .data/checkpoints
# Of the log that bench-provenance measures: its sizes, and a server for a database of its own.
SIZES    ?= 1e3 1e4 1e5 1e6 1e7
POSTGRES ?=

.PHONY: demo test check bench bench-forensics train-forensics bench-marks bench-provenance bench-erasure bench-speed train train-red bench-scales train-scales

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

demo: .venv/installed
	$(BIN)/python -m workers.demo

test: .venv/installed
	$(BIN)/pytest

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

$(ICONS):
	mkdir -p .data/fluent-emoji-3d
	cd .data && npm pack --silent @lobehub/fluent-emoji-3d@1.1.0
	tar -xzf .data/lobehub-fluent-emoji-3d-1.1.0.tgz -C .data/fluent-emoji-3d

bench: .venv/installed $(ICONS)
	$(BIN)/python -m bench.icons --icons $(ICONS) $(REAL)

bench-marks: .venv/installed $(ICONS)
	$(BIN)/python -m bench.marks all --icons $(ICONS) --cache .data/marks \
	    --docs docs/watermark.md $(REAL)

bench-speed: .venv/installed
	$(BIN)/python -m bench.speed
	$(BIN)/python -m bench.arrivals
	$(BIN)/python -m bench.janus

bench-scales: .venv/installed
	$(BIN)/python -m bench.scales

bench-provenance: .venv/installed
	$(BIN)/python -m bench.provenance --docs docs --sizes $(SIZES) \
	    $(if $(POSTGRES),--postgres $(POSTGRES))

# Needs PHOTOS and INDEX, and NotoColorEmoji.ttf (Debian fonts-noto-color-emoji) as FONT.
FONT ?= /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf
FORENSICS := $(BIN)/python -m bench.forensics

train-forensics: .venv/installed
	$(FORENSICS) build $(REAL)
	$(FORENSICS) train $(REAL) --font $(FONT)

bench-forensics: .venv/installed
	$(FORENSICS) build $(REAL)
	$(FORENSICS) tables $(REAL) --font $(FONT)

bench-erasure: .venv/installed $(ICONS)
	$(BIN)/python -m bench.erasure all --icons $(ICONS) --docs docs/erasure.md

# Starts from the weights of icons-128 in generators/weights.
train-scales: .venv/installed $(ICONS)
	mkdir -p $(CHECKPOINTS)
	$(BIN)/python -m generators.training.scales --icons $(ICONS) \
	    --checkpoint $(CHECKPOINTS)/scales.pt
	$(BIN)/python -m generators.training.export --name icons-128-scales \
	    --transformer $(CHECKPOINTS)/scales.pt
	@echo "Write this digest into generators/catalog.py."

train: .venv/installed $(ICONS)
	mkdir -p $(CHECKPOINTS)
	$(BIN)/python -m generators.training.codec --icons $(ICONS) $(REAL) \
	    --checkpoint $(CHECKPOINTS)/codec.pt
	$(BIN)/python -m generators.training.transformer --icons $(ICONS) \
	    --codec $(CHECKPOINTS)/codec.pt --checkpoint $(CHECKPOINTS)/transformer.pt
	$(BIN)/python -m generators.training.sampled --transformer $(CHECKPOINTS)/transformer.pt \
	    --codec $(CHECKPOINTS)/codec.pt --out $(CHECKPOINTS)/grids.npy
	$(BIN)/python -m generators.training.reading --icons $(ICONS) $(REAL) \
	    --codec $(CHECKPOINTS)/codec.pt --sampled $(CHECKPOINTS)/grids.npy \
	    --checkpoint $(CHECKPOINTS)/tuned.pt
	$(BIN)/python -m generators.training.reader --icons $(ICONS) $(REAL) \
	    --codec $(CHECKPOINTS)/tuned.pt --sampled $(CHECKPOINTS)/grids.npy \
	    --checkpoint $(CHECKPOINTS)/reader.pt
	$(BIN)/python -m generators.training.finder --icons $(ICONS) $(REAL) \
	    --codec $(CHECKPOINTS)/tuned.pt --sampled $(CHECKPOINTS)/grids.npy \
	    --checkpoint $(CHECKPOINTS)/finder.pt
	$(BIN)/python -m generators.training.export --transformer $(CHECKPOINTS)/transformer.pt \
	    --codec $(CHECKPOINTS)/tuned.pt --reader $(CHECKPOINTS)/reader.pt \
	    --finder $(CHECKPOINTS)/finder.pt
	@echo "Write these digests into generators/catalog.py, then: $(BIN)/python -m workers.pairing"

train-red: .venv/installed $(ICONS)
	mkdir -p $(CHECKPOINTS)
	$(BIN)/python -m generators.training.red --icons $(ICONS) --out $(CHECKPOINTS)/red.safetensors
	$(BIN)/python -m generators.training.checker --icons $(ICONS) \
	    --red $(CHECKPOINTS)/red.safetensors --out $(CHECKPOINTS)/checker.safetensors
