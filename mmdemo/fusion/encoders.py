"""Encoders: one modality in, a sequence of feature vectors out. Frozen unless a recipe says otherwise."""

from __future__ import annotations

from torch import Tensor, nn

from mmdemo.fusion.config import FusionVisionConfig


class VisionEncoder(nn.Module):
    """A timm image network, read at its last feature map.

    The classifier head stays: its labels are shown beside the sentence.
    """

    def __init__(self, config: FusionVisionConfig) -> None:
        super().__init__()
        import timm

        self.network = timm.create_model(config.architecture, pretrained=False, num_classes=config.num_classes)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Features and label scores of a batch of pictures.

        Args:
            pixel_values: (batch, 3, height, width), normalised.

        Returns:
            features (batch, positions, hidden_size), row by row from the top left; class logits (batch, num_classes).
        """
        grid = self.network.forward_features(pixel_values)
        return grid.flatten(2).transpose(1, 2), self.network.forward_head(grid)

    def freeze(self) -> None:
        """Stop gradients and keep batch statistics as they are."""
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> VisionEncoder:
        """Follow the parent's mode unless frozen: a frozen network must not update its batch statistics."""
        frozen = not any(parameter.requires_grad for parameter in self.parameters())
        return super().train(mode and not frozen)
