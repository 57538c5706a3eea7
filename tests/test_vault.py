import base64
import multiprocessing
import os
import stat
import traceback
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from automations.vault import SecretUnreadable, Vault

# A busy machine is no failure.
unhurried = settings(deadline=None)

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
TENANT = UUID("0d6e3c1e-3f5b-4c43-8f54-0a0b6c1b7a02")
OTHER_TENANT = UUID("3a7d2f9b-6a0c-4b6e-8a65-2f0d3f9f8e04")
PLAINTEXT = b'"https://hooks.example/T0/B0/not-for-anybodys-eyes"'


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


def open_with(vault: Vault, sealed: bytes) -> bytes:
    return vault.open(TENANT, "slack", sealed)


@pytest.fixture
def vault() -> Vault:
    return Vault([KEY])


@unhurried
@given(st.uuids(), st.text(), st.binary())
def test_what_was_sealed_opens(tenant_id: UUID, name: str, plaintext: bytes) -> None:
    vault = Vault([KEY])
    assert vault.open(tenant_id, name, vault.seal(tenant_id, name, plaintext)) == plaintext


@unhurried
@given(st.uuids(), st.text(), st.uuids(), st.text())
def test_a_secret_opens_for_its_own_tenant_and_name_only(
    tenant_id: UUID, name: str, other_tenant_id: UUID, other_name: str
) -> None:
    assume((tenant_id, name) != (other_tenant_id, other_name))
    vault = Vault([KEY])
    with pytest.raises(SecretUnreadable):
        vault.open(other_tenant_id, other_name, vault.seal(tenant_id, name, PLAINTEXT))


def test_a_secret_moved_to_another_tenant_or_name_does_not_open(vault: Vault) -> None:
    sealed = vault.seal(TENANT, "slack", PLAINTEXT)
    with pytest.raises(SecretUnreadable, match="sealed for another tenant or name"):
        vault.open(OTHER_TENANT, "slack", sealed)
    with pytest.raises(SecretUnreadable, match="sealed for another tenant or name"):
        vault.open(TENANT, "slack2", sealed)


@unhurried
@given(st.data())
def test_a_changed_byte_never_opens(data: st.DataObject) -> None:
    vault = Vault([KEY, OTHER_KEY])
    sealed = bytearray(vault.seal(TENANT, "slack", PLAINTEXT))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SecretUnreadable):
        open_with(vault, bytes(sealed))


@unhurried
@given(st.data())
def test_a_shortened_or_lengthened_value_never_opens(data: st.DataObject) -> None:
    vault = Vault([KEY])
    sealed = vault.seal(TENANT, "slack", PLAINTEXT)
    shorter = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    longer = sealed + data.draw(st.binary(min_size=1))
    for changed in (shorter, longer):
        with pytest.raises(SecretUnreadable):
            open_with(vault, changed)


@unhurried
@given(
    st.binary(max_size=100) | st.binary(max_size=100).map(lambda junk: Vault([KEY]).seal(TENANT, "x", b"")[:9] + junk)
)
def test_junk_never_opens(junk: bytes) -> None:
    with pytest.raises(SecretUnreadable):
        open_with(Vault([KEY]), junk)
    assert isinstance(Vault([KEY]).is_current(junk), bool)


def test_a_value_under_another_keys_id_does_not_open() -> None:
    mine, other = Vault([KEY]), Vault([OTHER_KEY])
    header = other.seal(TENANT, "slack", PLAINTEXT)[:9]
    with pytest.raises(SecretUnreadable):
        open_with(Vault([KEY, OTHER_KEY]), header + mine.seal(TENANT, "slack", PLAINTEXT)[9:])


def test_what_the_first_release_sealed_opens(vault: Vault) -> None:
    sealed = bytes.fromhex(
        "01f8e809913a8bc071fb10f563e7094807c181a71b200f4870df3a5628cbfc8c629f36410e37ad0e1b0b1e27c5907dd111d716"
    )
    assert open_with(vault, sealed) == b"sealed in 2026"
    assert vault.is_current(sealed)


def test_sealing_again_gives_other_bytes(vault: Vault) -> None:
    assert len({vault.seal(TENANT, "slack", PLAINTEXT) for _ in range(100)}) == 100


def test_a_sealed_value_shows_neither_plaintext_nor_key(vault: Vault) -> None:
    sealed = vault.seal(TENANT, "slack", PLAINTEXT)
    assert PLAINTEXT not in sealed
    assert not any(KEY[start : start + 4] in sealed for start in range(29))


def test_after_a_rotation_old_secrets_open_and_the_new_key_seals() -> None:
    old, rotated = Vault([KEY]), Vault([OTHER_KEY, KEY])
    sealed = old.seal(TENANT, "slack", PLAINTEXT)
    assert open_with(rotated, sealed) == PLAINTEXT
    assert old.is_current(sealed)
    assert not rotated.is_current(sealed)

    resealed = rotated.seal(TENANT, "slack", open_with(rotated, sealed))
    assert rotated.is_current(resealed)
    assert open_with(Vault([OTHER_KEY]), resealed) == PLAINTEXT


def test_a_missing_key_is_named_with_what_to_do(vault: Vault) -> None:
    sealed = vault.seal(TENANT, "slack", PLAINTEXT)
    with pytest.raises(SecretUnreadable) as refused:
        open_with(Vault([OTHER_KEY]), sealed)
    text = str(refused.value)
    assert "'slack'" in text
    assert "missing from AUTOMATIONS_SECRET_KEYS" in text
    assert "set the secret again" in text


def test_a_value_of_a_newer_version_asks_for_an_upgrade(vault: Vault) -> None:
    sealed = vault.seal(TENANT, "slack", PLAINTEXT)
    with pytest.raises(SecretUnreadable, match="newer version"):
        open_with(vault, b"\x02" + sealed[1:])
    assert not vault.is_current(b"\x02" + sealed[1:])


def test_no_error_shows_a_plaintext_or_a_key(vault: Vault) -> None:
    sealed = vault.seal(TENANT, "slack", PLAINTEXT)
    for reader, value in ((Vault([OTHER_KEY]), sealed), (vault, sealed[:-1]), (vault, sealed[:5])):
        with pytest.raises(SecretUnreadable) as refused:
            open_with(reader, value)
        shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value.args)
        for hidden in (PLAINTEXT.decode(), repr(PLAINTEXT), encoded(KEY), KEY.hex(), repr(KEY), sealed.hex()):
            assert hidden not in shown


def test_repr_shows_no_key(vault: Vault) -> None:
    shown = repr(vault) + str(vault) + repr(vars(vault))
    for hidden in (encoded(KEY), KEY.hex(), repr(KEY)):
        assert hidden not in shown


@pytest.mark.parametrize("keys", [[], [b""], [KEY[:16]], [KEY, KEY + b"x"]])
def test_keys_of_another_length_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="AUTOMATIONS_SECRET_KEYS"):
        Vault(keys)


@pytest.mark.parametrize(
    "setting",
    [
        "+/+/" * 10 + "+/8=",
        "-_-_" * 10 + "-_8=",
        "-_-_" * 10 + "-_8",
        "  " + "+/+/" * 10 + "+/8=\n",
    ],
)
def test_keys_are_taken_in_either_base64_alphabet(setting: str, tmp_path: Path) -> None:
    key = base64.b64decode("+/+/" * 10 + "+/8=")
    sealed = Vault([key]).seal(TENANT, "slack", PLAINTEXT)
    assert open_with(Vault.load(setting, tmp_path), sealed) == PLAINTEXT


def test_the_settings_first_key_seals_and_no_file_is_made(tmp_path: Path) -> None:
    vault = Vault.load(f"{encoded(OTHER_KEY)}, {encoded(KEY)}", tmp_path)
    assert Vault([OTHER_KEY]).is_current(vault.seal(TENANT, "slack", PLAINTEXT))
    assert open_with(vault, Vault([KEY]).seal(TENANT, "slack", PLAINTEXT)) == PLAINTEXT
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "correct horse battery staple",
        encoded(KEY[:31]),
        encoded(KEY + b"x"),
        KEY.hex(),
        encoded(KEY)[:-2] + "é=",
        encoded(KEY) + "=",
    ],
)
def test_a_wrong_setting_is_refused_without_being_shown(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="AUTOMATIONS_SECRET_KEYS") as refused:
        Vault.load(f"{encoded(OTHER_KEY)},{wrong}", tmp_path)
    shown = "".join(traceback.format_exception(refused.value))
    assert "Key 2 of 2" in shown
    assert "secrets.token_urlsafe(32)" in shown
    assert wrong not in shown
    assert encoded(OTHER_KEY) not in shown


@pytest.mark.parametrize("setting", [",", f"{encoded(KEY)},", f",{encoded(KEY)}"])
def test_an_empty_place_in_the_setting_is_refused(setting: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a key"):
        Vault.load(setting, tmp_path)


@pytest.mark.parametrize("setting", [None, "", "  \n"])
def test_without_a_setting_the_key_file_is_made_and_kept(setting: str | None, tmp_path: Path) -> None:
    data_dir = tmp_path / "new" / "data"
    sealed = Vault.load(setting, data_dir).seal(TENANT, "slack", PLAINTEXT)
    assert open_with(Vault.load(setting, data_dir), sealed) == PLAINTEXT
    assert [path.name for path in data_dir.iterdir()] == ["secret.key"]


def test_the_key_file_is_its_owners_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Vault.load(None, tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_the_key_file_can_be_copied_into_the_setting(tmp_path: Path) -> None:
    sealed = Vault.load(None, tmp_path).seal(TENANT, "slack", PLAINTEXT)
    setting = f"{encoded(KEY)},{(tmp_path / 'secret.key').read_text()}"
    assert open_with(Vault.load(setting, tmp_path), sealed) == PLAINTEXT


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602])
def test_a_key_file_open_to_others_is_refused(mode: int, tmp_path: Path) -> None:
    Vault.load(None, tmp_path)
    key_file = tmp_path / "secret.key"
    key_file.chmod(mode)
    with pytest.raises(ValueError, match="chmod 600") as refused:
        Vault.load(None, tmp_path)
    assert str(key_file) in str(refused.value)
    assert key_file.read_text().strip() not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"half-a-key", b"\xff\xfe" * 40, KEY])
def test_a_damaged_key_file_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    key_file = tmp_path / "secret.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(content)
    with pytest.raises(ValueError, match="holds no key") as refused:
        Vault.load(None, tmp_path)
    assert "half-a-key" not in str(refused.value)
    assert key_file.read_bytes() == content


def test_a_key_file_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="set AUTOMATIONS_SECRET_KEYS"):
        Vault.load(None, tmp_path / "file")


def test_a_draft_left_by_a_killed_process_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".secret.key.abandoned").write_text("half-a-key")
    sealed = Vault.load(None, tmp_path).seal(TENANT, "slack", PLAINTEXT)
    assert open_with(Vault.load(None, tmp_path), sealed) == PLAINTEXT


def _start_with_others(folders: list[Path], together: Barrier, results: "Queue[list[bytes]]") -> None:
    sealed = []
    for folder in folders:
        together.wait(timeout=60)
        sealed.append(Vault.load(None, folder).seal(TENANT, "slack", PLAINTEXT))
    results.put(sealed)


def test_processes_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(30)]
    spawn = multiprocessing.get_context("spawn")
    together, results = spawn.Barrier(4), spawn.Queue()
    processes = [spawn.Process(target=_start_with_others, args=(folders, together, results)) for _ in range(4)]
    for process in processes:
        process.start()
    sealed_by_process = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    results.close()

    assert [process.exitcode for process in processes] == [0] * 4
    for folder, *sealed in zip(folders, *sealed_by_process, strict=True):
        vault = Vault.load(None, folder)
        assert [open_with(vault, value) for value in sealed] == [PLAINTEXT] * 4
        assert [path.name for path in folder.iterdir()] == ["secret.key"]


def test_threads_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for number in range(20):
            vaults = list(pool.map(lambda _, folder=tmp_path / str(number): Vault.load(None, folder), range(8)))
            sealed = vaults[0].seal(TENANT, "slack", PLAINTEXT)
            assert [open_with(vault, sealed) for vault in vaults] == [PLAINTEXT] * 8
