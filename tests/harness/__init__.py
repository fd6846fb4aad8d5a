"""What the tests of the real binary share: a weir under test, clients, and looks into /proc."""
