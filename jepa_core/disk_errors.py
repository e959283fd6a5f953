"""What to do about an error of the system while something is written: it depends on which error it is."""

from __future__ import annotations

import errno

_NETWORK = "Bring the network disk back"
_OCCUPIED = "Move away what lies at that path"
_REMEDIES = {
    errno.ENOSPC: "Make room on the disk",
    errno.EDQUOT: "Delete other files of yours, or have your quota raised",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "Have the disk mounted for writing",
    errno.EACCES: "Let your user write there (ls -ld shows who may)",
    errno.EPERM: "Let your user write there (ls -ld and lsattr show who may, and how)",
    errno.ENOENT: "See to it that nothing deletes files of a run",
    errno.EIO: "Look for a failing disk or connection in the system's log (dmesg)",
    errno.ESTALE: _NETWORK,
    errno.ETIMEDOUT: _NETWORK,
    errno.EHOSTDOWN: _NETWORK,
    errno.ENOTCONN: _NETWORK,
    errno.EMFILE: "Raise the limit on open files (ulimit -n)",
    errno.ENFILE: "Close other programs, which have too many files open",
    errno.EISDIR: _OCCUPIED,
    errno.ENOTDIR: _OCCUPIED,
    errno.EEXIST: _OCCUPIED,
    errno.ELOOP: _OCCUPIED,
}


def remedy(error: OSError) -> str:
    """What to do, without a full stop, such as "Make room on the disk"."""
    return _REMEDIES.get(error.errno or 0, "Mend what the system reports")
