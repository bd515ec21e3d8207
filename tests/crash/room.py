"""A file system of its own, so small that it can be filled."""

import errno
import subprocess


class NoRoom(Exception):
    """Whoever runs this may not mount one."""


class Room:
    """In memory, and gone when it is removed. Only root may make one."""

    def __init__(self, path, megabytes, owner):
        self.path = path
        path.mkdir()
        options = f"size={megabytes}m,mode=700"
        if owner:
            options += f",uid={owner['user']},gid={owner['group']}"
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "stape-crash", path], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as refusal:
            path.rmdir()
            raise NoRoom from refusal

    def fill(self):
        """Not a byte is left."""
        with open(self.path / "ballast", "ab", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        ballast.write(bytes(size))
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error

    def clear(self):
        (self.path / "ballast").unlink()

    def remove(self):
        subprocess.run(["umount", self.path], check=True)
        self.path.rmdir()
