"""What the integration tests share: a weir under test, the clients, and looks into /proc."""
