"""A zip into the studio's data folder, once, by content hash. Nothing in it can write elsewhere or fill the disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from mmdemo.datasets.embedded import data_folder
from mmdemo.datasets.encodings import guessed
from mmdemo.datasets.problems import Finding, Problems, shown
from mmdemo.errors import InputError, NoSpace, TooLarge
from mmdemo.settings import Settings

PIECE = 1 << 20
RATIO = 200
"""So many times its own size, and more than `PLENTY` bytes, is a bomb: text shrinks to a twentieth, media hardly."""
PLENTY = 50_000_000
MARKER = ".unpacked.json"
"""Written last: what was left out. A folder without it was interrupted and is made again."""
UTF8 = 0x800
"""The flag of a name that is UTF-8 (APPNOTE 4.4.4, bit 11)."""
REFUSED = {
    "name": "has a name that leads out of the archive or that no system can keep",
    "link": "is a link",
    "odd": "is no file",
    "twice": "stands in it twice",
}
"""Why a file of an archive is left out, as the rest of a sentence."""
SPARE = 200_000_000
"""Bytes that stay free on the disk."""


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive and no workbook or `.npz`, which are zips too."""
    if path.suffix.lower() in (".xlsx", ".ods", ".npz", ".docx", ".csv", ".tsv"):
        return False
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def unpacked(path: Path, settings: Settings, problems: Problems) -> Path:
    """The folder of what is in a zip. Names that lead out, links and archives inside are left out and named.

    Raises:
        InputError: broken, with a password, or empty.
        TooLarge: more files or bytes than the limits, or a bomb.
        NoSpace: the disk has no room for it.
    """
    name = shown(path.name)
    target = data_folder(settings) / "unpacked" / _hash(path)
    marker = target / MARKER
    if not marker.is_file():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            making = Path(tempfile.mkdtemp(prefix="part-", dir=target.parent))
        except OSError as error:
            raise NoSpace(
                f"{name} cannot be unpacked to {target.parent} ({error.strerror}): make room there."
            ) from error
        try:
            left_out = _extract(path, name, making, settings)
            (making / MARKER).write_text(json.dumps(left_out), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            making.replace(target)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
            raise InputError(f"{name} is a broken or unusual zip ({error}): pack it again.") from error
        except OSError as error:
            raise NoSpace(
                f"{name} cannot be unpacked to {target.parent} ({error.strerror}): make room there."
            ) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)
    for _, sentence in json.loads(marker.read_text(encoding="utf-8")):
        problems.add("files of an archive that cannot be taken", sentence)
    return target


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
    except OSError as error:
        raise InputError(f"{shown(path.name)} cannot be read ({error.strerror}): check that it is there.") from error
    return digest.hexdigest()[:32]


def _extract(path: Path, name: str, target: Path, settings: Settings) -> list[tuple[str, str]]:
    """Write what is allowed; (why, sentence) for what was left out."""
    left_out: list[tuple[str, str]] = []
    limit = settings.max_megabytes * 1_000_000
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if not members:
            raise InputError(f"{name} is an empty archive: pack the data set again.")
        if len(members) > settings.max_files:
            raise TooLarge(
                f"{name} holds {len(members):,} files and the limit is {settings.max_files:,}: "
                "split it, or raise MMDEMO_MAX_FILES."
            )
        total, size = sum(member.file_size for member in members), path.stat().st_size
        if total > limit or (total > PLENTY and total > RATIO * size):
            raise TooLarge(
                f"{name} would unpack to {total / 1e6:,.0f} MB from {size / 1e6:,.1f}: "
                "unpack it yourself if you trust it, and choose the folder."
            )
        if total + SPARE > shutil.disk_usage(target).free:
            raise NoSpace(f"{name} unpacks to {total / 1e6:,.0f} MB and the disk has less: make room there.")
        names = _names(members)
        taken: set[str] = set()
        written = 0
        for member in members:
            inside = names[member.header_offset]
            safe = _safe(inside)
            why = _refused(member, inside, safe, taken)
            if why:
                if why != "hidden":
                    left_out.append(
                        (
                            why,
                            Finding(f"{name}: {shown(inside)[:200]} {REFUSED[why]} and was left out."),
                        )
                    )
                continue
            assert safe is not None
            taken.add(str(safe).lower())
            written = _write(archive, member, target / safe, written, min(limit, total + PIECE), name)
    return left_out


def _names(members: list[zipfile.ZipInfo]) -> dict[int, str]:
    """Names by place in the archive. A packer that did not say UTF-8 may have used the encoding of its country."""
    raw = {m.header_offset: m.orig_filename.encode("cp437", "replace") for m in members if not m.flag_bits & UTF8}
    foreign = b"\n".join(name for name in raw.values() if not name.isascii())
    encoding = "utf-8"
    try:
        foreign.decode()
    except UnicodeDecodeError:
        encoding = guessed(foreign)
    found = {m.header_offset: m.orig_filename for m in members}
    found.update({place: name.decode(encoding, "replace") for place, name in raw.items()})
    return found


def _safe(name: str) -> PurePosixPath | None:
    """The path inside the target; None for a name that leads out or that a system cannot have."""
    path = PurePosixPath(name.replace("\\", "/"))
    odd = any(ord(letter) < 32 or letter in '<>"|?*\x7f' for letter in name)
    parts = path.parts
    if not parts or path.is_absolute() or ".." in parts or ":" in name or odd:
        return None
    too_long = any(len(os.fsencode(part)) > 200 for part in parts) or len(os.fsencode(str(path))) > 800
    return None if too_long else path


def _refused(member: zipfile.ZipInfo, name: str, safe: PurePosixPath | None, taken: set[str]) -> str:
    """Why a member is left out, as a key of `REFUSED`; `hidden` is not worth a sentence."""
    mode = member.external_attr >> 16
    if safe is None:
        return "name"
    if any(part.startswith(".") or part in ("__MACOSX", "Thumbs.db") for part in safe.parts):
        return "hidden"
    if stat.S_ISLNK(mode):
        return "link"
    if mode and stat.S_IFMT(mode) and not stat.S_ISREG(mode):
        return "odd"
    if member.flag_bits & 1:
        raise InputError(f"{shown(name)} has a password: pack the data set again without one.")
    return "twice" if str(safe).lower() in taken else ""


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, written: int, limit: int, name: str) -> int:
    """Unpack one file; the header's size is not believed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, path.open("xb") as file:
        while piece := source.read(PIECE):
            written += len(piece)
            if written > limit:
                raise TooLarge(f"{name} holds more than it says: it may be a bomb, and was not unpacked.")
            file.write(piece)
    return written
