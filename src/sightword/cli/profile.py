"""`sightword profile`: takes some steps of a run, and says where their time goes."""

from __future__ import annotations

import os
from pathlib import Path

from sightword.cli.profile_flags import Profile


def run(flags: Profile) -> None:
    """Profile, write and print."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler's own chatter; before torch is loaded
    from sightword.cli import configure
    from sightword.profiling import telling
    from sightword.profiling.profiling import profile

    out = Path(flags.out)
    found = profile(configure(flags.as_train()), flags.length.steps, out)
    telling.write(found, out)
    print("\n".join(telling.lines(found, out)))
