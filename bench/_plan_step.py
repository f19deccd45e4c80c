"""A real step and what it takes, for bench/plan.py: `python bench/_plan_step.py CONFIG.toml DEVICE`.

Prints one line of JSON. On a CPU memory is what the kernel says that this process holds at most, above what
it held before the model was built; on a GPU what CUDA's allocator says.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sightword.config import Config, load
from sightword.training.caching import forward_backward
from sightword.training.counting import unlearned
from sightword.training.gradients import TermGradients
from sightword.training.optimizer import gradient_norm, make_optimizer
from sightword.training.pretrainer import Pretrainer
from sightword.training.setup import build_pretrainer
from sightword.training.together.engine import make_engine
from sightword.words import Batch, Words

_FEW = 4  # rows of the step that warms up


def main() -> None:
    config, device = load(Path(sys.argv[1])), torch.device(sys.argv[2])
    torch.set_num_threads(1)
    # What torch's libraries hold for themselves once they have worked is not the step's.
    taken(replace(config, batch_size=_FEW, chunk=min(config.chunk, _FEW)), device)
    before = held(device)
    forget_peak(device)
    seconds = taken(config, device)
    peak = most(device)
    print(json.dumps({"peak": peak - before, "flops": flops(config, device), "seconds": seconds}))


def taken(config: Config, device: torch.device) -> float:
    """Two steps of random pictures, the second with each term's own gradient; seconds of the first."""
    model, batch = built(config, device)
    optimizer, engine = make_optimizer(model, config.optimizer), make_engine(model)
    seconds = []
    for metered in (False, True):
        begun = time.perf_counter()
        meter = TermGradients(model.encoders.towers["image"]) if metered else None
        forward_backward(engine, batch, 1.0, chunks(config), autocast(config, device), meter)
        del meter
        gradient_norm(model, config.optimizer.grad_clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        model.after_step(1.0)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    return seconds[0]


def flops(config: Config, device: torch.device) -> int:
    """Of one step, by torch's own counter of what is really computed."""
    model, batch = built(config, device)
    # The counter knows CUDA's attention, and none of a processor's.
    plainly = sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()
    with plainly, FlopCounterMode(display=False) as counter:
        forward_backward(make_engine(model), batch, 1.0, chunks(config), autocast(config, device))
    return int(counter.get_total_flops())


def built(config: Config, device: torch.device) -> tuple[Pretrainer, Batch]:
    """A model with random weights, and a batch of noise with captions of full length."""
    context, rows = config.model.text.context, config.batch_size
    model = build_pretrainer(config, unlearned(config.data, context)).to(device)
    plan = model.plan(1.0)
    views = {
        view: torch.randint(0, 256, (rows, 3, view.size, view.size), dtype=torch.uint8)
        for view in plan.views()
    }
    words = Words(torch.ones(rows, context, dtype=torch.long), torch.full((rows,), context))
    captions = dict.fromkeys(plan.captions, words)
    keys = tuple(map(str, range(rows)))
    return model, Batch(0, keys, torch.arange(rows), 0, views, captions).to(device)


def chunks(config: Config) -> int:
    """Pieces in which a batch is encoded."""
    return -(-config.batch_size // config.chunk) if config.chunk else config.accum_freq


def autocast(config: Config, device: torch.device) -> torch.autocast:
    """As the loop enters it."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16")


def held(device: torch.device) -> int:
    """Bytes that are held now."""
    return torch.cuda.memory_allocated() if device.type == "cuda" else status("VmRSS")


def most(device: torch.device) -> int:
    """Bytes that were held at most."""
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else status("VmHWM")


def forget_peak(device: torch.device) -> None:
    """Begin to look for the most again, where that can be."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def status(name: str) -> int:
    """What Linux counts for this process."""
    lines: list[Any] = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
