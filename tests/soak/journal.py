"""Journal: what the soak did, and when; printed as it goes, and all that a failure is found from."""

import threading
import time


class Journal:
    def __init__(self):
        self._began = time.monotonic()
        self._lock = threading.Lock()  # clients write as well

    def note(self, text):
        with self._lock:
            print(f"{time.monotonic() - self._began:9.3f}  {text}", flush=True)
