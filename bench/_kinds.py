"""Every kind of fault, by the name that it has in the table."""

from __future__ import annotations

from signal import SIGINT, SIGTERM

import _moments as moments
import _shortages as shortages
import _torn as torn
from _moments import Kind

KINDS: dict[str, Kind] = {
    "kill: any moment": Kind(moments.at_any_moment),
    "kill: one rank": Kind(moments.one_rank),
    "kill: one rank, torchrun starts again": Kind(moments.one_rank_and_again),
    "kill: torchrun": Kind(moments.launcher),
    "kill: start": Kind(moments.at_start),
    "kill: beginning": Kind(moments.while_it_begins, "first"),
    "kill: going on": Kind(moments.while_it_goes_on),
    "kill: preparing": Kind(moments.while_it_prepares, "first"),
    "kill: writing a checkpoint": Kind(moments.while_it_saves),
    "kill: a checkpoint appears": Kind(moments.as_it_appears),
    "kill: publishing": Kind(moments.while_it_publishes),
    "kill: recording": Kind(moments.while_it_records),
    "kill: after the last step": Kind(moments.after_the_last_step, "last"),
    "power cut: not flushed": Kind(moments.power_cut),
    "power cut: half a record": Kind(moments.half_a_record),
    "checkpoint: cut": Kind(torn.torn(torn.newest(torn.truncate))),
    "checkpoint: bit flipped": Kind(torn.torn(torn.newest(torn.flip))),
    "checkpoint: file gone": Kind(torn.torn(torn.newest(torn.remove))),
    "checkpoint: emptied": Kind(torn.torn(torn.newest(torn.empty))),
    "checkpoint: no manifest": Kind(torn.torn(torn.newest(torn.no_manifest))),
    "checkpoint: half renamed": Kind(torn.torn(torn.newest(torn.half_renamed))),
    "checkpoint: one left": Kind(torn.torn(torn.all_but(1))),
    "checkpoint: none left": Kind(torn.torn(torn.all_but(0))),
    "disk full": Kind(shortages.disk_full),
    "file size limit": Kind(shortages.file_too_large),
    "loader killed": Kind(shortages.loader_killed),
    "SIGTERM": Kind(shortages.asked(SIGTERM, "started", {0})),
    "SIGTERM to one rank": Kind(shortages.asked(SIGTERM, "one", {0})),
    "SIGTERM twice": Kind(shortages.asked(SIGTERM, "started", {0, -SIGTERM}, again=True)),
    "SIGINT to all": Kind(shortages.asked(SIGINT, "all", {0})),
    "SIGINT twice": Kind(shortages.asked(SIGINT, "all", {0, 130, -SIGINT}, again=True)),
    "SIGSTOP for a while": Kind(shortages.stopped_for_a_while),
    "SIGSTOP for good": Kind(shortages.stopped_for_good),
}
