"""Seals and opens secrets, so that the database and its backups alone give none away.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce, bound to the tenant and the name: a sealed value copied to
another row does not open. No text, error or repr made here holds a key or a plaintext.
"""

import base64
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_FILE: Final = "secret.key"

_VERSION: Final = b"\x01"
_KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_HEADER_BYTES: Final = len(_VERSION) + _KEY_ID_BYTES
# 32 bytes in either base64 alphabet, with or without padding.
_ENCODED_KEY: Final = re.compile(r"[A-Za-z0-9+/_-]{43}=?")
_HOW: Final = (
    "AUTOMATIONS_SECRET_KEYS takes base64 keys of 32 bytes, separated by commas, the newest first; "
    'make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
)


class SecretUnreadable(Exception):
    """A sealed secret does not open. The text names the secret and what to do, and holds nothing of its value."""


class Vault:
    """Keys that seal and open secrets: the first seals, every one opens.

    To rotate, put a new key in front, seal again what is not `is_current`, then drop the old key. A key may seal 2^32
    values before random nonces become a risk (SP 800-38D, section 8.3).

    A sealed value is: version (1 byte), key id (8), nonce (12), ciphertext, tag (16). It shows the plaintext's length.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take keys of 32 bytes each; raise ValueError for none or for another length."""
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise ValueError(f"A vault needs one key or more, each of {_KEY_BYTES} bytes. {_HOW}")
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._current = _key_id(keys[0])

    @classmethod
    def load(cls, secret_keys: str | None, data_dir: Path) -> "Vault":
        """Take the keys from the setting, or where it is absent or blank from the key file in `data_dir`.

        The file is made on the first start, readable by its owner only; processes that start together get the same
        key. It holds the key in the setting's form, or several, a line each, while the key is changed. Raise
        ValueError, which says what to change, for a wrong setting and for a file that is open to others, damaged, or
        cannot be made.
        """
        if secret_keys is None or not secret_keys.strip():
            return cls(_load_key_file(data_dir / KEY_FILE))
        keys = [_decode_key(encoded) for encoded in secret_keys.split(",")]
        for position, key in enumerate(keys, start=1):
            if key is None:
                raise ValueError(f"Key {position} of {len(keys)} in AUTOMATIONS_SECRET_KEYS is not a key. {_HOW}")
        return cls([key for key in keys if key is not None])

    def __repr__(self) -> str:
        return f"<Vault keys={len(self._ciphers)} current={self._current.hex()}>"

    def seal(self, tenant_id: UUID, name: str, plaintext: bytes) -> bytes:
        """Seal a secret for one tenant and name with the first key; the same input gives other bytes each time."""
        header = _VERSION + self._current
        nonce = secrets.token_bytes(_NONCE_BYTES)
        bound = _bound(header, tenant_id, name)
        return header + nonce + self._ciphers[self._current].encrypt(nonce, plaintext, bound)

    def open(self, tenant_id: UUID, name: str, sealed: bytes) -> bytes:
        """Return the plaintext sealed for this tenant and name; raise SecretUnreadable where it does not open."""
        header = sealed[:_HEADER_BYTES]
        if len(sealed) < _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES or not header.startswith(_VERSION):
            raise SecretUnreadable(
                f"Secret {name!r} is damaged, or was sealed by a newer version of automations: set it again, or upgrade"
            )
        key_id = header[len(_VERSION) :]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SecretUnreadable(
                f"Secret {name!r} was sealed with key {key_id.hex()}, which is missing from AUTOMATIONS_SECRET_KEYS: "
                f"add that key to it (a key made on the first start is in the file {KEY_FILE}), or set the secret again"
            )
        nonce = sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], _bound(header, tenant_id, name))
        except InvalidTag:
            raise SecretUnreadable(
                f"Secret {name!r} does not open: it was changed in the database, or sealed for another tenant or name; "
                "set it again"
            ) from None

    def is_current(self, sealed: bytes) -> bool:
        """Say whether the first key sealed this; what it did not seal is to be sealed again after a rotation."""
        return sealed.startswith(_VERSION + self._current)


def _key_id(key: bytes) -> bytes:
    return sha256(b"automations secret key id\0" + key).digest()[:_KEY_ID_BYTES]


def _bound(header: bytes, tenant_id: UUID, name: str) -> bytes:
    # All parts before the name have a fixed length, so no two inputs give the same bytes.
    return b"automations secret\0" + header + tenant_id.bytes + name.encode()


def _decode_key(encoded: str) -> bytes | None:
    encoded = encoded.strip()
    if not _ENCODED_KEY.fullmatch(encoded):
        return None
    return base64.b64decode(encoded[:43].replace("-", "+").replace("_", "/") + "=")


def add_key(data_dir: Path) -> None:
    """Put a new key in front of those of the key file."""
    path = data_dir / KEY_FILE
    _write_key_file(path, [secrets.token_bytes(_KEY_BYTES), *_load_key_file(path)])


def drop_old_keys(data_dir: Path) -> None:
    """Keep the first key of the key file only. What others sealed opens never again."""
    path = data_dir / KEY_FILE
    _write_key_file(path, _load_key_file(path)[:1])


def _load_key_file(path: Path) -> list[bytes]:
    try:
        if not path.exists():
            _make_key_file(path)
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(64 * 1024)
    except OSError as error:
        raise ValueError(
            f"The key file {path} can be neither read nor made ({error.strerror}): "
            f"make its folder writable, or set AUTOMATIONS_SECRET_KEYS. {_HOW}"
        ) from error
    # Windows has no such bits: the folder's access list decides there.
    if os.name != "nt" and stat.S_IMODE(mode) & 0o077:
        raise ValueError(f"The key file {path} is open to other users of this machine: run chmod 600 {path}")
    keys = [_decode_key(line) for line in content.decode("ascii", errors="replace").splitlines()]
    if not keys or None in keys:
        raise ValueError(
            f"The key file {path} holds no key: restore it from a backup, or delete it where no secret was ever stored"
        )
    return [key for key in keys if key is not None]


def _make_key_file(path: Path) -> None:
    """Make the file whole or not at all, and leave one that another process made first as it is.

    A link, unlike a rename, fails where the name is taken, and unlike a file opened under its final name it never
    shows a reader half a key.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _draft_key_file(path, [secrets.token_bytes(_KEY_BYTES)]) as draft, suppress(FileExistsError):
        path.hardlink_to(draft)
    _sync_folder(path.parent)


def _write_key_file(path: Path, keys: Sequence[bytes]) -> None:
    with _draft_key_file(path, keys) as draft:
        draft.replace(path)
    _sync_folder(path.parent)


@contextmanager
def _draft_key_file(path: Path, keys: Sequence[bytes]) -> Iterator[Path]:
    """A file beside it with these keys, on disk; gone afterwards unless it was renamed."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # O_EXCL, mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(base64.b64encode(key) + b"\n" for key in keys)
            file.flush()
            os.fsync(file.fileno())
        yield Path(draft)
    finally:
        Path(draft).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # Without it a crash could lose the file's name, and with it every secret sealed since.
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
