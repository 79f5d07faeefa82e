"""How the page looks: system fonts, one accent colour, thin borders, steps of 8 px. The rest is in `style.css`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

HERE = Path(__file__).parent
CSS = HERE / "style.css"
SCRIPT = HERE / "page.js"
SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif"]  # fmt: skip  # noqa: E501
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
ACCENT = gr.themes.Color(
    name="teal",
    c50="#f0fbfa", c100="#d3f3ef", c200="#a7e6df", c300="#6fd1c9", c400="#3fb5ad", c500="#1f9a93",
    c600="#0f766e", c700="#115e59", c800="#134e4a", c900="#123f3c", c950="#062b29",
)  # fmt: skip
"""White on 600 is 5.5 : 1, 300 on the dark page 9 : 1 (WCAG AA asks for 4.5 : 1)."""


def theme() -> Any:
    """The theme, in light and dark. Fonts are the system's: a page that fetches none tells nobody it was opened."""
    made = gr.themes.Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue=gr.themes.colors.slate,
        font=[gr.themes.Font(name) for name in SANS],
        font_mono=[gr.themes.Font(name) for name in MONO],
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=gr.themes.sizes.text_md,
    )
    return made.set(
        body_background_fill="#f7f8fa",
        body_background_fill_dark="#10151c",
        body_text_color="#1b2530",
        body_text_color_dark="#e6ebf1",
        body_text_color_subdued="#55616f",
        body_text_color_subdued_dark="#a3b0bf",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#171e27",
        background_fill_secondary="#f2f4f7",
        background_fill_secondary_dark="#1c2530",
        block_background_fill="#ffffff",
        block_background_fill_dark="#171e27",
        block_border_color="#d5dbe3",
        block_border_color_dark="#303c4a",
        block_border_width="1px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_border_width_dark="0px",
        block_label_text_color="#3c4855",
        block_label_text_color_dark="#c2ccd8",
        block_title_text_color="#26323e",
        block_title_text_color_dark="#d5dde7",
        block_info_text_color="#55616f",
        block_info_text_color_dark="#a3b0bf",
        border_color_primary="#d5dbe3",
        border_color_primary_dark="#303c4a",
        input_background_fill="#ffffff",
        input_background_fill_dark="#10151c",
        input_border_color="#8a96a5",
        input_border_color_dark="#66758a",
        input_border_width="1px",
        input_placeholder_color="#626e7b",
        input_placeholder_color_dark="#94a1b0",
        input_shadow="none",
        input_shadow_focus="none",
        input_border_color_focus="*primary_600",
        input_border_color_focus_dark="*primary_300",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#1c2530",
        button_secondary_background_fill_hover="#eef1f5",
        button_secondary_background_fill_hover_dark="#26313e",
        button_secondary_border_color="#8a96a5",
        button_secondary_border_color_dark="#66758a",
        button_secondary_text_color="#1b2530",
        button_secondary_text_color_dark="#e6ebf1",
        button_border_width="1px",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
    )
