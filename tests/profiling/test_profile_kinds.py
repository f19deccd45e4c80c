"""Operations are counted as the kind of work that they are."""

from __future__ import annotations

import pytest
import torch

from sightword.losses import tiles
from sightword.profiling import kinds
from sightword.profiling.kinds import kind_of
from sightword.towers import batch_norm

KINDS = {
    kinds.PRODUCTS: "addmm mm bmm baddbmm matmul linear mkldnn_linear _scaled_mm mv dot linear_backward",
    kinds.CONVOLUTIONS: "convolution mkldnn_convolution convolution_backward conv2d cudnn_convolution",
    kinds.ATTENTION: "_softmax _log_softmax_backward_data _scaled_dot_product_flash_attention_for_cpu",
    kinds.NORMS: "native_layer_norm native_batch_norm_backward _batch_norm_impl_index cudnn_batch_norm",
    kinds.COPIES: "copy_ _to_copy clone cat stack index_select gather fill_ zero_ embedding index_put_",
    kinds.ELEMENTWISE: "add_ mul gelu_backward sum mean linalg_vector_norm _foreach_norm _fused_adamw_",
    kinds.DISPATCH: "view t transpose as_strided empty empty_strided select detach reshape unbind item",
}


@pytest.mark.parametrize("kind", KINDS)
def test_operations_of_torch(kind: str) -> None:
    assert {name: kind_of(f"aten::{name}") for name in KINDS[kind].split()} == dict.fromkeys(
        KINDS[kind].split(), kind
    )


def test_what_is_no_operation_of_torchs() -> None:
    assert kind_of("autograd::engine::evaluate_function: NativeLayerNormBackward0") == kinds.DISPATCH
    assert kind_of("AddBackward0") == kinds.DISPATCH
    assert kind_of("Optimizer.step#AdamW.step") == kinds.DISPATCH
    assert kind_of("Torch-Compiled Region: 0/0") == kinds.COMPILED
    assert kind_of("CompiledFunctionBackward") == kinds.COMPILED
    assert kind_of("flash_attn::_flash_attention_forward") == kinds.ATTENTION


def test_functions_that_compute_by_themselves_are_what_their_room_is() -> None:
    assert issubclass(batch_norm._OwnMoments, torch.autograd.Function)
    assert kind_of("_OwnMoments") == kind_of("_OwnMomentsBackward") == kinds.NORMS
    assert tiles._BothWays.__module__ == "sightword.losses.tiles"  # a contrast is no kind of its own
    assert kind_of("_BothWays") == kind_of("_BothWaysBackward") == kinds.OWN
