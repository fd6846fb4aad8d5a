"""The servers that weir is held against: where they come from and how they are started.

Packages and what is built from them lie in a cache folder outside the source tree. A peer that
cannot be had is left out, with the reason.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field

from measure import HERE, Failed

SOURCES = HERE / "peers"


@dataclass
class Candidate:
    """A server and its commands, with {port}: for plain sessions, and for those that it has."""
    name: str
    plain: list
    deflate: list = None
    tls: list = None
    version: str = ""
    cwd: object = None

    def command(self, kind):
        return getattr(self, kind)


@dataclass
class Cache:
    folder: object
    left_out: dict = field(default_factory=dict)

    def __post_init__(self):
        self.folder.mkdir(parents=True, exist_ok=True)

    def certificate(self):
        """(certificate, key), good for this host alone."""
        certificate, key = self.folder / "localhost.pem", self.folder / "localhost.key"
        if not (certificate.exists() and key.exists()):
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "3650", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate)
        return str(certificate), str(key)

    def npm(self):
        """The folder with Bun and ws, installed when first asked for."""
        folder = self.folder / "npm"
        if not (folder / "node_modules" / "ws").exists():
            folder.mkdir(exist_ok=True)
            run("npm", "install", "--no-audit", "--no-fund", "--prefix", folder, "bun", "ws")
        shutil.copy(SOURCES / "ws_echo.js", folder / "ws_echo.cjs")  # where it finds ws
        return folder

    def built(self, name, compiler, flags):
        """The program made of SOURCES/name, compiled anew when that is newer."""
        source, program = SOURCES / name, self.folder / name.partition(".")[0]
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            run(*compiler, source, "-o", program, *flags)
        return str(program)


def run(*command):
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise Failed(f"{missing.filename} is not installed") from missing
    if done.returncode != 0:
        raise Failed(f"{command[0]} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def weir(binary, cache):
    """Its default configuration; one worker, for the peers have one thread."""
    base = [str(binary), "--workers", "1", "--control", str(cache.folder / "weir-{port}.sock")]
    certificate, key = cache.certificate()
    plain = [*base, "--listen", "127.0.0.1:{port}"]
    return Candidate("weir", plain, deflate=plain,
                     tls=[*base, "--listen", "tls:127.0.0.1:{port}", "--tls-cert", certificate, "--tls-key", key])


def bun(cache):
    program = cache.npm() / "node_modules" / ".bin" / "bun"
    base = [str(program), str(SOURCES / "bun_echo.js"), "{port}"]
    return Candidate("bun", base, deflate=[*base, "--deflate"], tls=[*base, "--tls", *cache.certificate()],
                     version=run(program, "--version").strip())


def ws(cache):
    folder = cache.npm()
    base = ["node", str(folder / "ws_echo.cjs"), "{port}"]
    return Candidate("ws", base, deflate=[*base, "--deflate"], tls=[*base, "--tls", *cache.certificate()],
                     version=run("node", "-p", f"require('{folder}/node_modules/ws/package.json').version").strip()
                     + " on Node " + run("node", "--version").strip())


def libwebsockets(cache):
    try:
        flags = run("pkg-config", "--cflags", "--libs", "libwebsockets").split()
    except Failed as missing:
        raise Failed("apt-get install libwebsockets-dev") from missing
    return Candidate("libwebsockets", [cache.built("lws_echo.c", ["cc", "-O2"], flags), "{port}"],
                     version=run("pkg-config", "--modversion", "libwebsockets").strip())


def beast(cache):
    program = cache.built("beast_echo.cpp", ["c++", "-O2", "-std=c++20"], ["-pthread"])
    version = [line.split('"')[1] for line in run("c++", "-E", "-dM", "-include", "boost/version.hpp", "-x", "c++",
                                                  os.devnull).splitlines() if "BOOST_LIB_VERSION" in line]
    return Candidate("beast", [program, "{port}"], version=version[0].replace("_", "."))


PACKAGED = {"bun": bun, "ws": ws, "libwebsockets": libwebsockets, "beast": beast}


def packaged(cache, names):
    """Those of `names` that can be had; why not the others is noted in the cache."""
    for name in names:
        try:
            yield PACKAGED[name](cache)
        except Failed as why:
            cache.left_out[name] = str(why)
