"""What every model that answers about pictures shares: how it is asked, and how large a picture it is given."""

from __future__ import annotations

from PIL import Image

PROMPTS = {
    "sentence": "Describe this picture in one short sentence.",
    "alt": "Write alternative text for this picture, for someone who cannot see it: what matters, "
    'in at most 125 characters, without "picture of".',
    "tags": "List what is in this picture as up to ten short tags in lower case, separated by commas. Only the tags.",
    "paragraph": "Describe this picture in detail, in one paragraph.",
}


def shrunk(image: Image.Image, pixels: int) -> Image.Image:
    """The picture with at most so many pixels, in its proportions."""
    scale = (pixels / (image.width * image.height)) ** 0.5
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)
