"""One file for each task; named lazily, so that the list of tasks is there without torch. See `base.Recipe`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mmdemo.errors import UnknownName

if TYPE_CHECKING:
    from mmdemo.training.recipes.base import Recipe

RECIPES: dict[str, str] = {
    "text-classification": "mmdemo.training.recipes.text_classification:TextClassification",
    "token-classification": "mmdemo.training.recipes.token_classification:TokenClassification",
    "image-text-classification": "mmdemo.training.recipes.image_text:ImageTextClassification",
    "image-text-token-classification": "mmdemo.training.recipes.image_text:ImageTextTokenClassification",
    "automatic-speech-recognition": "mmdemo.training.recipes.speech:SpeechRecognition",
    "image-to-text": "mmdemo.training.recipes.image_to_text:ImageToText",
    "video-text-to-text": "mmdemo.training.recipes.video_to_text:VideoToText",
    "audio-text-to-text": "mmdemo.training.recipes.audio_to_text:AudioToText",
    "image-text-to-text": "mmdemo.training.recipes.image_text_to_text:ImageTextToText",
    "image-classification": "mmdemo.training.recipes.image_classification:ImageClassification",
    "audio-classification": "mmdemo.training.recipes.audio_classification:AudioClassification",
    "text-image-retrieval": "mmdemo.training.recipes.retrieval:PictureRetrieval",
    "text-audio-retrieval": "mmdemo.training.recipes.retrieval:SoundRetrieval",
    "text-generation": "mmdemo.training.recipes.text_generation:TextGeneration",
}
"""Task to its recipe; the name is the Hub's, which has none for retrieval, nor for texts with pictures."""


def get(task: str) -> type[Recipe]:
    """The recipe of a task.

    Raises:
        UnknownName: with the tasks there are.
    """
    if task not in RECIPES:
        raise UnknownName("training task", task, RECIPES)
    module, _, name = RECIPES[task].partition(":")
    recipe: type[Recipe] = getattr(import_module(module), name)
    return recipe
