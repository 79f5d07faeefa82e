"""Languages that Whisper knows, for the choice of the spoken language: their own names and ISO 639-1 codes.

The codes are those of OpenAI Whisper's tokenizer.
"""

from __future__ import annotations

LANGUAGES: tuple[tuple[str, str], ...] = (
    ("English", "en"), ("中文", "zh"), ("Español", "es"), ("Français", "fr"),
    ("Deutsch", "de"), ("日本語", "ja"), ("한국어", "ko"), ("Русский", "ru"), ("Português", "pt"),
    ("Italiano", "it"), ("العربية", "ar"), ("हिन्दी", "hi"), ("Türkçe", "tr"), ("Tiếng Việt", "vi"),
    ("Bahasa Indonesia", "id"), ("Polski", "pl"), ("Nederlands", "nl"), ("Українська", "uk"), ("Svenska", "sv"),
    ("Dansk", "da"), ("Norsk", "no"), ("Suomi", "fi"), ("Íslenska", "is"), ("Čeština", "cs"),
    ("Slovenčina", "sk"), ("Slovenščina", "sl"), ("Hrvatski", "hr"), ("Srpski", "sr"), ("Magyar", "hu"),
    ("Română", "ro"), ("Български", "bg"), ("Ελληνικά", "el"), ("Català", "ca"), ("Galego", "gl"),
    ("Euskara", "eu"), ("Eesti", "et"), ("Latviešu", "lv"), ("Lietuvių", "lt"), ("עברית", "he"),
    ("فارسی", "fa"), ("اردو", "ur"), ("বাংলা", "bn"), ("தமிழ்", "ta"), ("తెలుగు", "te"),
    ("मराठी", "mr"), ("ไทย", "th"), ("Bahasa Melayu", "ms"), ("Tagalog", "tl"), ("Kiswahili", "sw"),
    ("Afrikaans", "af"), ("Cymraeg", "cy"), ("Қазақ", "kk"), ("Oʻzbek", "uz"), ("ქართული", "ka"),
    ("Հայերեն", "hy"), ("Монгол", "mn"), ("नेपाली", "ne"), ("Latina", "la"),
)  # fmt: skip
