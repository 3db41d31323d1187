"""The twelve named networks: work, parameters, outputs."""

import pytest
import torch

from formfn_profile import errors, flops, networks

pytest.importorskip("pytorchcv", reason="pip install 'formfn-profile[networks]'")

# Counted by fvcore 0.1.5, PyTorch's FlopCounterMode and ptflops alike, and equal to what torchvision's
# documentation, TF-slim (NASNet) and DARTS' authors' code give, rounded as they are.
TRUTHS = {
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnet101": (44_549_160, 7_801_405_440),
    "resnet152": (60_192_808, 11_513_626_624),
    "resnext50": (25_028_904, 4_230_479_872),
    "resnext101": (88_791_336, 16_414_015_488),
    "mobilenetv2": (3_503_872, 300_774_272),
    "inceptionv3": (23_834_568, 5_713_216_096),
    "nasnet-large": (88_753_150, 23_809_955_634),
    "darts": (4_718_752, 529_911_552),
    "darts-optimized": (4_718_752, 529_911_552),
}


def test_there_are_twelve():
    assert list(networks.NETWORKS) == list(TRUTHS)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTHS)
def test_work_parameters_and_outputs(session_of, error_of, name):
    """MACs and parameters exactly; PyTorch and OpenVINO within 1e-3 of max|a|; two inputs differ more."""
    model, x = networks.build(name), networks.example_input(name)
    counted = flops.count(model, x)
    assert (counted.parameters, counted.macs) == TRUTHS[name]
    with torch.inference_mode():
        output, other = model(x), model(networks.example_input(name, seed=1))
    assert error_of(session_of("openvino-cpu", model, x).output(), output) < 1e-3
    assert error_of(other, output) > 1e-2


def test_a_seed_determines_the_weights_and_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    one, same, other = (networks.build("mobilenetv2", seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_an_unknown_network_names_the_nearest():
    with pytest.raises(errors.UnknownNetworkError, match=r"no network 'resnet5O'\. Did you mean resnet50\?"):
        networks.get("resnet5O")


def test_without_pytorchcv_the_message_has_the_remedy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pytorchcv.models.resnet", None)
    with pytest.raises(errors.NetworkError, match=r"pip install 'formfn-profile\[networks\]'"):
        networks.build("resnet18")
