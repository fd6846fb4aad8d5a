"""Certificates made for a test, and what its clients need to know of them."""

import os
import shutil
import ssl
import subprocess
import tempfile

from harness.environment import PATIENCE


class Certificates:
    """A directory of certificates, each signed by its own key, that ends with the test."""

    def __init__(self, test):
        self.directory = tempfile.mkdtemp(prefix="weir-test-tls-")
        test.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def cert(self, name):
        return os.path.join(self.directory, f"{name}.pem")

    def key(self, name):
        return os.path.join(self.directory, f"{name}.key")

    def make(self, name, host="localhost"):
        """A pair of files under `name`, for `host` and 127.0.0.1. Replaces one of before."""
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command += ["-nodes", "-days", "2", "-subj", f"/CN={name}"]
        command += ["-addext", f"subjectAltName=DNS:{host},IP:127.0.0.1"]
        command += ["-keyout", self.key(name), "-out", self.cert(name)]
        subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
        return self

    def flags(self, *names):
        """What tells weir to use them, in this order."""
        flags = []
        for name in names:
            flags += ["--tls-cert", self.cert(name), "--tls-key", self.key(name)]
        return flags

    def der(self, name):
        with open(self.cert(name), encoding="ascii") as file:
            return ssl.PEM_cert_to_DER_cert(file.read())

    def client(self, *names):
        """A context that trusts just these."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for name in names:
            context.load_verify_locations(self.cert(name))
        return context


def careless():
    """A client's context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
