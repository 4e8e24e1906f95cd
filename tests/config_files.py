"""Configuration files for tests."""

from __future__ import annotations

from pathlib import Path

HMAC = f"hmac:{'0' * 64}"
CLIENT = f'[[clients]]\nid = "app"\nsecret = "{HMAC}"\n'
SECRET = "correct-horse-battery"


def write(directory: Path, gateway: str = "", clients: str = CLIENT) -> Path:
    """Both files; → the path of the first."""
    (directory / "clients.toml").write_text(clients)
    path = directory / "gateway.toml"
    path.write_text(gateway)
    return path


def placeless(sentences: list[str], path: Path) -> list[str]:
    """Sentences without the directory, which is another one in every run."""
    return [sentence.replace(f"{path.parent}/", "") for sentence in sentences]
