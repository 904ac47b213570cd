"""What holds for every test."""

import asyncio

from hypothesis import settings

# The virtual clock's plugin makes an event loop for tests that are not asynchronous and leaves it open.
asyncio.set_event_loop(None)

# How long an example takes says more about the machine than about the code.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
