"""The clock of the server alone: what the system tells it, and so many seconds.

A library that is loaded before all others answers for the system and adds what a file says; the system's own clock is left
as it is. Needs a C compiler, as the server does.
"""

import os
import subprocess

SOURCE = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *time) {
    long result = syscall(SYS_clock_gettime, id, time);
    if (result == 0 && id == CLOCK_REALTIME) {
        char text[24] = {0};
        int file = open(getenv("CRASH_CLOCK"), O_RDONLY);
        if (file >= 0) {
            if (read(file, text, sizeof text - 1) > 0) time->tv_sec += atol(text);
            close(file);
        }
    }
    return (int)result;
}
"""


class SteppingClock:
    """Steps when it is told to."""

    def __init__(self, directory):
        library, source = directory / "clock.so", directory / "clock.c"
        source.write_text(SOURCE)
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        self.path = directory / "clock"
        self.set(0)
        self.environment = {"LD_PRELOAD": str(library), "CRASH_CLOCK": str(self.path)}

    def set(self, ahead):
        """So many seconds ahead of the system's clock, or behind it. One rename: nobody reads half of it."""
        new = self.path.with_suffix(".new")
        new.write_text(str(ahead))
        new.replace(self.path)
