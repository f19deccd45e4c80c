"""Shared by every test: one thread, so that small tensors are fast and numbers repeat."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
