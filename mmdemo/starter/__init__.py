"""The starter describer: how it was made, so that anyone can make it again."""
