"""weir against a browser: Chromium, without a window, if it is installed (Debian's `chromium`).

The page browser.html is served from here, opens the sessions, and posts what came of them."""

import base64
import hashlib
import http.server
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import unittest
import urllib.parse

from harness.certificates import Certificates
from harness.environment import PATIENCE
from harness.suite import WeirTest, main

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "browser.html")


class Page:
    """Serves the page on loopback, and takes what it posts."""

    def __init__(self):
        answers = self.answers = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with open(PAGE, "rb") as file:
                    body = file.read()
                self.answer(body if self.path.startswith("/?") else b"")

            def do_POST(self):
                answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer(b"")

            def answer(self, body):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, targets):
        query = urllib.parse.urlencode([("url", target) for target in targets])
        return f"http://127.0.0.1:{self._server.server_port}/?{query}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@unittest.skipUnless(CHROMIUM, "chromium is not installed")
class BrowserTest(WeirTest):
    def open_in_browser(self, url, *flags):
        """Ends with the test."""
        profile = tempfile.mkdtemp(prefix="weir-test-chromium-")
        self.addCleanup(shutil.rmtree, profile, ignore_errors=True)
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--disable-dev-shm-usage", "--disable-background-networking", "--no-proxy-server"]
        command += [f"--user-data-dir={profile}", *flags, url]
        browser = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self.addCleanup(self.end, browser)

    def end(self, browser):
        browser.terminate()
        try:
            browser.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()

    def key_hash(self, certificates, name):
        """What makes Chromium take this one certificate, and no other that it does not trust."""
        command = ["openssl", "x509", "-in", certificates.cert(name), "-noout", "-pubkey"]
        pem = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True).stdout
        der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    def test_a_page_talks_over_ws_and_wss(self):
        """Text, binary, 100 KB compressed and an empty message come back, and the page's close is
        answered: plain and over TLS, with every way of compression."""
        certificates = Certificates(self).make("a")
        urls, servers = [], []
        for mode in ("shared", "dedicated"):
            server = self.start_weir(
                "--compression", mode, *certificates.flags("a"),
                listen=("127.0.0.1:0", "tls:127.0.0.1:0"),
            )  # fmt: skip
            servers.append(server)
            (host, plain), (_, secure) = server.addresses
            urls += [f"ws://{host}:{plain}/", f"wss://{host}:{secure}/"]
        page = Page()
        self.addCleanup(page.close)
        trusted = self.key_hash(certificates, "a")
        self.open_in_browser(page.url(urls), f"--ignore-certificate-errors-spki-list={trusted}")
        answers = page.answers.get(timeout=2 * PATIENCE)
        for url, answer in zip(urls, answers, strict=True):
            with self.subTest(url):
                self.assertEqual(answer, "ok")
        for server in servers:
            counters = server.status()["counters"]
            self.assertGreaterEqual(counters["compressed_in"], 4)
            self.assertGreaterEqual(counters["compressed_out"], 4)
            self.assertGreaterEqual(counters["tls_established"], 1)


if __name__ == "__main__":
    main()
