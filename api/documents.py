"""The JSON that goes in and out, field by field, with units and limits; checked here and only here.

What comes in may hold no other fields. Times are RFC 3339 in UTC; lengths of pictures are in
pixels; digests are SHA-256 in lower-case hexadecimal.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from api.reasons import Reason
from provenance.jobs import State
from provenance.outbound import URL_CHARACTERS, Reach, Refused, parse_url
from provenance.wishes import BEST, LARGEST_SEED, LONGEST_PROMPT, MOST_PICTURES

LINE = r"^[^\x00-\x1f\x7f-\x9f]+$"
TEXT = r"^[^\x00]*$"
DIGEST = r"^[0-9a-f]{64}$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MOST_WISHES = 100  # of one batch
MOST_ADDRESSES = 20  # of one batch
# What `provenance.outbound` takes, less addresses in brackets and names that are not of the web.
ADDRESS = (
    r"^https://[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
    r"(:(80|443|102[4-9]|10[3-9][0-9]|1[1-9][0-9]{2}|[2-9][0-9]{3}|[1-5][0-9]{4}))?"
    r'(/[!"$-~]*)?$'
)
MOST_EXHIBITS = 1_000  # of one evidence pack over HTTP
LARGEST_INDEX = 2**53 - 1  # exact in every JSON reader


def whole(value: object) -> object:
    """4.0 is a whole number in JSON, which has but one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _no_number(value: object) -> object:
    """0 equals False, and is no truth value all the same."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError("not a truth value")
    return value


Prompt = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_PROMPT,
        pattern=LINE,
        description=f"What to draw, in one line of 1 to {LONGEST_PROMPT} characters.",
    ),
]
ModelName = Annotated[
    str,
    Field(pattern=NAME, description="A name that GET /v1/models lists.", examples=["icons-128"]),
]
Seed = Annotated[
    int,
    Field(
        ge=0,
        le=LARGEST_SEED - MOST_PICTURES,
        description="Picture k (from 0) is drawn with seed + k; the same wish and seed give the "
        "same picture. Drawn at random if left out.",
    ),
    BeforeValidator(whole),
]
Marks = Annotated[
    Literal["trade", "lexical", "swap", "both"],
    Field(description="How the invisible mark is put in while the tokens are sampled."),
]
Survive = Annotated[
    str,
    Field(
        pattern=NAME,
        description="An attack that the mark must survive once, e.g. jpeg-50; none: no attack. An "
        "attack that the workers do not know fails the job with the fault bad-wish.",
    ),
]


OutputFormat = Annotated[
    Literal["png", "jpeg", "webp"],
    Field(
        description="What the files are. The mark is read back from the very file that is given "
        "out, and drawn more strongly, or refused, where the format weakens it. An installation "
        "whose policy asks for China's label refuses webp, with the fault bad-wish."
    ),
]
OutputCompression = Annotated[
    int,
    Field(
        ge=0,
        le=BEST,
        description="Of jpeg and webp, in percent: the quality, 0 the smallest file and "
        f"{BEST} (the default) the truest. A png loses nothing and takes no other value than "
        f"{BEST}.",
    ),
    BeforeValidator(whole),
]


def check_compression(output_format: str | None, compression: int | None) -> None:
    """Raise ValueError for a PNG that is to lose something."""
    if output_format in (None, "png") and compression not in (None, BEST):
        raise ValueError(f"a png loses nothing: {BEST}, or ask for jpeg or webp")


class Taken(BaseModel):
    """A document that comes in: no field but these."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Wish(Taken):
    """Pictures to draw."""

    model: ModelName = "icons-128"
    prompt: Prompt
    count: Annotated[
        int,
        Field(ge=1, le=MOST_PICTURES, description="How many pictures of this prompt."),
        BeforeValidator(whole),
    ] = 1
    seed: Seed | None = None
    mark: Marks = "trade"
    survive: Survive = "none"
    output_format: OutputFormat = "png"
    output_compression: OutputCompression = BEST

    @field_validator("output_compression")
    @classmethod
    def fits(cls, value: int, others: ValidationInfo) -> int:
        """Raise ValueError unless the format has such a quality."""
        check_compression(others.data.get("output_format"), value)
        return value


class Batch(Taken):
    """Several wishes, all of which are queued or none."""

    generations: Annotated[
        list[Wish],
        Field(min_length=1, max_length=MOST_WISHES, description="The wishes, in order."),
    ]


def _fetchable(value: str) -> str:
    """As far as its text tells: the worker resolves the name and checks where it leads."""
    try:
        parse_url(value, Reach.PUBLIC)
    except Refused as e:
        raise ValueError(str(e)) from e
    return value


class Addressed(Taken):
    """A picture at an address."""

    url: Annotated[
        str,
        Field(
            max_length=URL_CHARACTERS,
            pattern=ADDRESS,
            description="An https:// address of a public host, on port 443, 80 or from 1024 on, "
            "that answers 200 with the file itself. Redirects are not followed. The address is "
            "forgotten when the job ends.",
        ),
        AfterValidator(_fetchable),
    ]
    search: Annotated[
        Literal["quick", "standard", "full"],
        Field(description="How widely shifts, scales and crops are searched."),
    ] = "quick"


class AddressedBatch(Taken):
    """Several pictures at addresses, all of whose verifications are queued or none."""

    verifications: Annotated[
        list[Addressed],
        Field(min_length=1, max_length=MOST_ADDRESSES, description="The pictures, in order."),
    ]


class Ours(Taken):
    """What the OpenAI API has no field for."""

    mark: Marks = "trade"
    survive: Survive = "none"


class OpenAIWish(Taken):
    """The request of the OpenAI API, as far as it means something here."""

    model: ModelName = "icons-128"
    prompt: Prompt
    n: (
        Annotated[
            int,
            Field(ge=1, le=MOST_PICTURES, description="How many pictures."),
            BeforeValidator(whole),
        ]
        | None
    ) = 1
    size: (
        Annotated[
            str,
            Field(
                pattern=r"^(auto|[1-9][0-9]{1,4}x[1-9][0-9]{1,4})$",
                description="auto, or WIDTHxHEIGHT in pixels: exactly what the model draws.",
            ),
        ]
        | None
    ) = "auto"
    response_format: Annotated[
        Literal["b64_json", "url"] | None,
        Field(
            description="b64_json: the file in the answer. url: a link, which needs the same API "
            "key to be followed."
        ),
    ] = "b64_json"
    output_format: OutputFormat | None = "png"
    output_compression: OutputCompression | None = BEST
    seed: Seed | None = None
    user: Annotated[str, Field(max_length=200, description="Ignored, and not kept.")] | None = None
    quality: Annotated[
        Literal["auto", "standard"] | None, Field(description="There is one quality here.")
    ] = "auto"
    background: Annotated[
        Literal["auto", "opaque"] | None, Field(description="Pictures are opaque here.")
    ] = "auto"
    moderation: Annotated[Literal["auto"] | None, Field(description="There is one policy.")] = (
        "auto"
    )
    stream: Annotated[
        Literal[False] | None,
        Field(description="Streams are at /v1/generations/{job}/events instead."),
        BeforeValidator(_no_number),
    ] = False
    countermark: Ours | None = None

    @field_validator("output_compression")
    @classmethod
    def fits(cls, value: int | None, others: ValidationInfo) -> int | None:
        """Raise ValueError unless the format has such a quality."""
        check_compression(others.data.get("output_format"), value)
        return value


class Progress(BaseModel):
    done: Annotated[int, Field(description="Steps that are done.", ge=0)]
    total: Annotated[int, Field(description="Steps in all; 0 before the first.", ge=0)]


class Fault(BaseModel):
    code: Annotated[str, Field(description="Why the job failed, by a name that stays.")]
    detail: Annotated[str, Field(description="The same for people.")]


class Image(BaseModel):
    """A picture that was made, marked, signed and recorded."""

    id: Annotated[str, Field(description="UUID.")]
    url: Annotated[str, Field(description="The file; needs an API key of the tenant.")]
    proof: Annotated[str, Field(description="The .tlog-proof file, once a checkpoint covers it.")]
    manifest: Annotated[str, Field(description="The C2PA manifest store of the file.")]
    entry: Annotated[int, Field(ge=0, description="Index of its record in the log.")]
    sha256: Annotated[str, Field(pattern=DIGEST, description="Digest of the file.")]
    media_type: str
    width: Annotated[int, Field(ge=1, description="In pixels.")]
    height: Annotated[int, Field(ge=1, description="In pixels.")]
    created: datetime
    facts: Annotated[
        dict[str, Any], Field(description="How it was made, as the worker reports it.")
    ]


class Job(BaseModel):
    """Work that was asked for."""

    id: Annotated[str, Field(description="UUID.")]
    state: State
    progress: Progress
    created: datetime
    finished: datetime | None
    fault: Fault | None
    url: Annotated[str, Field(description="Where to read this again.")]


class Generation(Job):
    object: Literal["generation"] = "generation"
    request: Annotated[
        dict[str, Any],
        Field(
            description="What was asked. `prompt` is null once it is forgotten: some days after "
            "the end of the job, as the installation says, or when it is erased."
        ),
    ]
    events: Annotated[str, Field(description="Server-sent events of this job.")]
    reasons: Annotated[
        list[Reason], Field(description="Of each concept that a policy acted upon.")
    ] = []
    images: list[Image]


class Generations(BaseModel):
    data: list[Generation]
    next: Annotated[str | None, Field(description="Cursor of the next page; null at the end.")]


class Queued(BaseModel):
    generations: list[Generation]


class Marking(Job):
    object: Literal["mark"] = "mark"
    images: list[Image]


class Finding(BaseModel):
    """What one check found. Without a key, only the state is told."""

    state: str
    quantity: Annotated[str | None, Field(description="What `value` counts, with its unit.")] = None
    value: Annotated[str | None, Field(description="Decimal text.")] = None
    threshold: Annotated[str | None, Field(description="Decimal text.")] = None
    version: Annotated[str | None, Field(description="Of the check.")] = None
    caveat: Annotated[str | None, Field(description="What the finding does not mean.")] = None
    entries: Annotated[list[int], Field(description="Of the log, the caller's own alone.")] = []


class Verdict(BaseModel):
    """What all findings prove together; docs/verdict.md has the table."""

    outcome: str
    says: str
    leaves_open: str
    row: Annotated[int, Field(ge=1, description="The row of the table that fits.")]
    table: str
    entries: Annotated[list[int], Field(description="What the verdict is about.")] = []


class Overlay(BaseModel):
    """A picture that shows where evidence lies."""

    name: str
    says: str
    media_type: str
    url: str


class Verification(Job):
    object: Literal["verification"] = "verification"
    detail: Annotated[
        Literal["coarse", "full"],
        Field(description="coarse: asked without a key, so without numbers."),
    ]
    sha256: Annotated[str | None, Field(description="Digest of the file.")]
    width: Annotated[int | None, Field(description="In pixels.")]
    height: Annotated[int | None, Field(description="In pixels.")]
    verdict: Verdict | None
    findings: Annotated[dict[str, Finding], Field(description="By the name of the check.")]
    mark: Annotated[dict[str, Any] | None, Field(description="The search for marks in numbers.")]
    manifest: Annotated[
        dict[str, Any] | None,
        Field(description="What the file's manifest states and how two readers took it."),
    ]
    classifier: Annotated[
        dict[str, Any] | None,
        Field(description="What the classifier's answer was found from; it never decides."),
    ]
    overlays: list[Overlay]


class QueuedVerifications(BaseModel):
    """What a batch was queued as, in its order."""

    verifications: list[Verification]


class Verifications(BaseModel):
    data: list[Verification]
    next: Annotated[str | None, Field(description="Cursor of the next page; null at the end.")]
