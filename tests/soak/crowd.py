"""Crowd: all who use the weir that is soaked. Whatever goes otherwise for one of them than it must,
and has no excuse, is the crowd's failure."""

import time

from harness.environment import PATIENCE
from standing import StandingSessions
from visitors import Visitors


class Crowd:
    def __init__(self, address, excuses, standing, seed):
        self.visitors = Visitors(address, excuses, seed)
        self.standing = StandingSessions(address, excuses, standing, seed)

    def check(self):
        for part in (self.visitors, self.standing):
            if part.failure:
                raise part.failure

    def pause(self):
        """Nobody but the standing sessions is there, and they are silent."""
        self.visitors.pause()
        self.standing.pause()
        self.check()

    def go(self):
        self.standing.go()
        self.visitors.go()

    def await_visits(self, count, at_most=PATIENCE):
        """Until so many more have come and gone. Whether they have, in `at_most` seconds."""
        aim, deadline = self.visitors.visits + count, time.monotonic() + at_most
        while self.visitors.visits < aim:
            self.check()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def end(self):
        self.visitors.end()
        self.standing.end()
