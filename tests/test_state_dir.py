"""One process per state directory."""

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys

import pytest

from gateway.state_dir import StateDirBusy, StateDirUnusable, claim

CLAIMS_AND_WAITS = """
import sys
from pathlib import Path
from gateway.state_dir import claim
handle = claim(Path(sys.argv[1]))
print("claimed", flush=True)
sys.stdin.read()
"""


def test_the_directory_is_made_for_us_alone(tmp_path):
    with claim(tmp_path / "a" / "state") as claimed:
        assert claimed.path == tmp_path / "a" / "state"
        assert stat.S_IMODE(claimed.path.stat().st_mode) == 0o700
        assert stat.S_IMODE((claimed.path / "lock").stat().st_mode) == 0o600


def test_a_second_claim_is_refused_with_the_owners_pid(tmp_path):
    with claim(tmp_path), pytest.raises(StateDirBusy, match=rf"another gateway process \(pid {os.getpid()}\)"):
        claim(tmp_path)


def test_a_refused_claim_does_not_disturb_the_owner(tmp_path):
    with claim(tmp_path):
        for _ in range(2):
            with pytest.raises(StateDirBusy, match=str(os.getpid())):
                claim(tmp_path)


def test_an_owner_that_left_no_pid_is_refused_all_the_same(tmp_path):
    with claim(tmp_path):
        (tmp_path / "lock").write_text("nonsense")
        with pytest.raises(StateDirBusy, match=r"process\.$"):
            claim(tmp_path)


def test_what_was_released_can_be_claimed_again(tmp_path):
    claimed = claim(tmp_path)
    claimed.release()
    claimed.release()
    with claim(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_killed_process_leaves_no_claim_behind(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", CLAIMS_AND_WAITS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout.readline() == b"claimed\n"
        with pytest.raises(StateDirBusy, match=rf"\(pid {child.pid}\)"):
            claim(tmp_path)
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    with claim(tmp_path):
        pass


def test_who_deletes_the_lock_file_lets_nobody_in(tmp_path):
    with claim(tmp_path):
        (tmp_path / "lock").unlink()
        with pytest.raises(StateDirBusy):
            claim(tmp_path)
    with claim(tmp_path):
        pass


def test_where_directories_can_not_be_locked_the_file_is_enough(tmp_path, monkeypatch):
    lock = fcntl.flock

    def files_only(descriptor, how):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "no")
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", files_only)
    with claim(tmp_path), pytest.raises(StateDirBusy, match=str(os.getpid())):
        claim(tmp_path)


def test_the_same_directory_by_another_name_is_the_same(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to("state")
    with claim(tmp_path / "state"), pytest.raises(StateDirBusy):
        claim(tmp_path / "link")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare")
def test_so_it_is_through_another_mount_as_in_another_container(tmp_path):
    """Another mount namespace and another mount of the same volume, as two containers have that share one."""
    state, elsewhere = tmp_path / "state", tmp_path / "volume"
    state.mkdir()
    elsewhere.mkdir()
    script = 'mount --bind "$1" "$2" && exec "$3" -c "$4" "$2"'
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    command = [*alone, "sh", "-c", script, "sh", str(state), str(elsewhere), sys.executable, CLAIMS_AND_WAITS]
    with claim(state):
        other = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    if "unshare" in other.stderr or "mount:" in other.stderr:
        pytest.skip("this machine lets nobody mount")
    assert other.returncode == 1
    assert f"is used by another gateway process (pid {os.getpid()})" in other.stderr
    assert subprocess.run(command, capture_output=True, timeout=30, stdin=subprocess.DEVNULL).stdout == b"claimed\n"


def test_a_child_process_does_not_inherit_the_claim(tmp_path):
    claimed = claim(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        claimed.release()
        with claim(tmp_path):
            pass
        child.communicate(b"\n", timeout=10)


def test_a_place_that_is_no_directory_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateDirUnusable, match="STATE_DIR"):
        claim(tmp_path / "file")
