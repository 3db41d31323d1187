"""
int8: post-training quantization by NNCF of what was prepared for OpenVINO, in the process that prepares.

Weights and activations become 8 bits wide, the latter in the ranges that they take for a few inputs. Weights
take half of their range: where 8-bit products are added up in 16 bits (AVX2), whole ones would overflow.
"""

from __future__ import annotations

import shutil
import warnings
from typing import TYPE_CHECKING, Any

from formfn_profile.backends.openvino_module import openvino, reason, save
from formfn_profile.brief import cause
from formfn_profile.errors import BackendError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch


def quantize(prepared: Path, examples: Sequence[Sequence[torch.Tensor]]) -> Path:
    """
    Write the int8 form of a prepared network beside it, calibrated on `examples` of its inputs, and return
    its path: that of the network itself if it was quantized already.

    Raises:
        UnavailableError: NNCF is not installed.
        BackendError: NNCF cannot quantize the network.
    """
    ov = openvino()
    model = ov.Core().read_model(prepared)
    if any(operation.get_type_name() == "FakeQuantize" for operation in model.get_ops()):
        return prepared
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NNCF's own libraries
        model = _quantized(_nncf(), model, examples)
    path = prepared.with_name("int8.xml")
    save(model, path)
    shutil.copyfile(prepared.with_suffix(".npz"), path.with_suffix(".npz"))
    return path


def _nncf() -> Any:
    try:
        import nncf
    except ModuleNotFoundError:
        raise UnavailableError(
            "int8 needs NNCF, which is not installed: pip install 'formfn-profile[int8]'"
        ) from None
    nncf.set_log_level("ERROR")
    return nncf


def _quantized(nncf: Any, model: Any, examples: Sequence[Sequence[torch.Tensor]]) -> Any:
    half_range = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)
    data = nncf.Dataset([tuple(each.numpy() for each in inputs) for inputs in examples])
    try:
        return nncf.quantize(model, data, subset_size=len(examples), advanced_parameters=half_range)
    except Exception as error:
        raise BackendError(f"NNCF could not quantize the network: {reason(cause(error))}") from error
