"""Makes a running process spin: it goes round in one instruction, uses its CPU and gets nowhere. As
a fault of its own would have it, which no build of weir has a switch for. By ptrace(2), x86-64 only.
"""

import ctypes
import errno
import os
import platform
import unittest

_ATTACH, _DETACH, _PEEK, _POKE, _GET_REGISTERS, _SET_REGISTERS = 16, 17, 1, 4, 12, 13
_ORIG_RAX, _RIP, _REGISTERS = 15, 16, 27  # in struct user_regs_struct
_JUMP_HERE = b"\xeb\xfe"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(request, pid, address=None, data=None):
    ctypes.set_errno(0)
    result = _libc.ptrace(request, pid, address, data)
    if result == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def spin(pid):
    """Returns once `pid` spins, for ever."""
    if platform.machine() != "x86_64":
        raise unittest.SkipTest("knows the registers of x86-64 only")
    try:
        _ptrace(_ATTACH, pid)
    except OSError as error:
        if error.errno == errno.EPERM:
            raise unittest.SkipTest("ptrace is not permitted here") from error
        raise
    os.waitpid(pid, 0x40000000)  # __WALL: it is no child of ours
    registers = (ctypes.c_ulonglong * _REGISTERS)()
    _ptrace(_GET_REGISTERS, pid, None, ctypes.addressof(registers))
    registers[_ORIG_RAX] = ctypes.c_ulonglong(-1).value  # no system call to be restarted
    _ptrace(_SET_REGISTERS, pid, None, ctypes.addressof(registers))
    at = registers[_RIP]
    word = ctypes.c_ulonglong(_ptrace(_PEEK, pid, at)).value.to_bytes(8, "little")
    _ptrace(_POKE, pid, at, int.from_bytes(_JUMP_HERE + word[2:], "little"))
    _ptrace(_DETACH, pid)
