"""Texts from models and users made safe to print on a terminal."""


def one_line(text: str) -> str:
    """Put a space for every line break, escape and other control character, singly and in runs."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
