"""Notes of what is lent: whole or not at all."""

import pathlib

import pytest
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.functions import Settings
from podnet_kni_server.datapath.lent import Function, Ledger, Lent

LENT = Lent(
    token="pnv0123456789",
    pod="default/one",
    inside="net1",
    inside_index=1 << 20,
    address="0000:01:10.0",
    name="eth2",
    mac="02:00:00:00:00:01",
    mtu=1500,
    function=Function(physical="eth0", number=0, former=Settings(vlan=5)),
)


def test_what_is_written_is_read(tmp_path: pathlib.Path) -> None:
    ledger = Ledger(tmp_path / "devices")
    assert list(ledger) == []
    ledger.write(LENT)
    assert ledger.get(LENT.token) == LENT
    assert list(Ledger(tmp_path / "devices")) == [LENT]
    assert (tmp_path / "devices").stat().st_mode & 0o777 == 0o700
    ledger.remove(LENT.token)
    ledger.remove(LENT.token)
    assert ledger.get(LENT.token) is None


def test_a_note_that_cannot_be_read_is_set_aside(tmp_path: pathlib.Path) -> None:
    ledger = Ledger(tmp_path)
    (tmp_path / "pnv1.json").write_text("{")
    assert list(ledger) == []
    assert (tmp_path / "pnv1.broken").exists()


def test_a_disk_that_is_full_is_an_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatapathError, match="cannot note that Pod default/one has eth2"):
        Ledger(tmp_path / "file").write(LENT)
