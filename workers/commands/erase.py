"""`countermark erase`: train a concept out of a model, keep the delta, certify what it does."""

from __future__ import annotations

import argparse
import os
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from generators.catalog import GENERATORS, load_generator
from generators.erasing.delta import write_delta
from generators.erasing.distil import Method, Recipe, erase
from generators.erasing.lessons import lessons
from generators.raster import RasterModel
from provenance import policies
from provenance.database import snapshot, transaction
from provenance.files import read_file, write_file
from provenance.policies import EVERY, Concept
from workers.certifying import certify, keep_certificate
from workers.commands import Usage
from workers.commands.generate import progress_bar
from workers.eraser import MAX_DELTA, Eraser, keep_delta, places
from workers.folder import TENANT, data_folder, open_folder


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    top = commands.add_parser("erase", help="train a concept out of a model's weights")
    acts = top.add_subparsers(dest="act", required=True)
    train = acts.add_parser("train", help="draw the concept, learn not to, write a delta")
    train.add_argument("name", metavar="NAME")
    train.add_argument("--phrase", action="append", metavar="P", help="again for every phrase")
    train.add_argument("--out", type=Path, required=True, metavar="F.safetensors")
    train.add_argument("--model", default=next(iter(GENERATORS)), metavar="NAME")
    train.add_argument("--method", type=Method, choices=list(Method), default=Recipe().method)
    train.add_argument("--steps", type=int, default=Recipe().steps, metavar="N")
    train.add_argument("--seed", type=int, default=Recipe().seed, metavar="N")
    train.set_defaults(run=run_train)
    apply = acts.add_parser("apply", help="sign a delta, keep it, and have a policy ask for it")
    apply.add_argument("file", type=Path, metavar="F.safetensors")
    apply.add_argument("--concept", required=True, metavar="NAME", help="of the policy")
    apply.add_argument("--model", default=next(iter(GENERATORS)), metavar="NAME")
    apply.set_defaults(run=run_apply)
    certify_ = acts.add_parser("certify", help="measure what the policy does about a concept")
    certify_.add_argument("name", metavar="NAME", help="of a concept of the policy")
    certify_.add_argument("--model", default=next(iter(GENERATORS)), metavar="NAME")
    certify_.add_argument("--seed", type=int, default=1, metavar="N")
    certify_.set_defaults(run=run_certify)
    acts.add_parser("list", help="the deltas that are kept").set_defaults(run=run_list)


def run_train(options: argparse.Namespace, console: Console) -> int:
    """Draw, learn, write."""
    if options.steps < 1:
        raise Usage(f"--steps must be at least 1, not {options.steps}")
    generator = load_generator(options.model)
    if not isinstance(generator.model, RasterModel):
        raise Usage(f"--model: {options.model} takes no deltas")
    phrases = options.phrase or [options.name]
    policies.parse_concepts({"concepts": [{"name": options.name, "phrases": phrases}]})
    recipe = replace(Recipe(), method=options.method, steps=options.steps, seed=options.seed)
    with progress_bar(console) as progress:
        drawn = lessons(generator, phrases, seed=options.seed, progress=progress)
        pairs = erase(generator.model.transformer, *drawn, recipe, progress=progress)
    facts = {**recipe.plain(), "phrases": phrases}
    base = generator.spec.transformer.digest
    data = write_delta(base, f"erases: {options.name}", facts, pairs)
    write_file(options.out, data)
    console.print(f"{options.out}: {len(data):,} bytes", markup=False, highlight=False)
    return 0


def run_apply(options: argparse.Namespace, console: Console) -> int:
    """Keep the delta, and let the concept of the model's policy ask for it."""
    data = read_file(options.file, MAX_DELTA)
    with open_folder(data_folder(os.environ)) as folder:
        delta = keep_delta(folder, data, name=str(options.file), model=options.model)
        with transaction(folder.engine) as session:
            found = policies.history(session, EVERY, options.model, most=1)
            concepts, attempts = (found[0].concepts, found[0].attempts) if found else ((), 3)
            if options.concept not in [one.name for one in concepts]:
                raise Usage(
                    f"--concept: the policy of {options.model} bans no {options.concept!r}; run "
                    f"`countermark concepts ban {options.concept!r} --model {options.model}` first"
                )
            after: list[Concept] = [
                replace(one, delta=delta.digest.hex()) if one.name == options.concept else one
                for one in concepts
            ]
            policies.make(
                session,
                policies.document(after, attempts),
                tenant=EVERY,
                model=options.model,
                author="command, erase apply",
                now=datetime.now(UTC),
            )
    console.print(f"delta {delta.digest.hex()} counts from the next picture on", highlight=False)
    return 0


def run_certify(options: argparse.Namespace, console: Console) -> int:
    """Draw, score, keep the certificate."""
    with open_folder(data_folder(os.environ)) as folder:
        with snapshot(folder.engine) as session:
            policy = policies.effective(session, TENANT, options.model)
        named = {one.name: one for one in policy.concepts}
        if options.name not in named:
            raise Usage(f"the policy of {options.model} bans no {options.name!r}")
        generator = load_generator(options.model)
        model = generator.model
        base = deepcopy(model.transformer) if isinstance(model, RasterModel) else None
        rules = Eraser(folder).rules(policy, generator)
        with progress_bar(console) as progress:
            made = certify(
                generator,
                named[options.name],
                rules,
                seed=options.seed,
                base=base if rules.deltas else None,
                progress=progress,
            )
        digest = keep_certificate(folder.path, made)
    for name, series in made["series"].items():
        over = dict(zip(made["thresholds"], series["share over threshold"], strict=True))
        print(f"{name}: {over[0.5]:.3f} of {len(series['seeds'])} over 0.5")  # noqa: T201
    print(f"certificate {digest}")  # noqa: T201
    return 0


def run_list(options: argparse.Namespace, console: Console) -> int:
    """Name the deltas."""
    with open_folder(data_folder(os.environ)) as folder:
        for place in places(folder):
            print(place.stem)  # noqa: T201
    return 0
