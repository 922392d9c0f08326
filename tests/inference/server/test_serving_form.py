"""A 2-D network as it is served answers as the one that was trained, and the trained one stays as it is."""

import pytest
import torch
from pydantic import JsonValue
from torch import nn

from inference.contract import NetworkDefinition
from inference.server.networks.catalogue import build_network
from inference.server.serving_form import serving_form

SMALL: dict[str, dict[str, JsonValue]] = {
    "modified_resnet": {"channels": 4, "branch_channels": 4, "fused_channels": 4},
    "unet2d": {"channels": [4, 8, 8]},
    "dpn_unet": {"stem": 4, "groups": 2, "increments": [2, 2, 2, 2], "decoder_channels": [8, 8, 4, 4, 4]},
    "mnet": {"channels": [4, 8, 8], "side_inputs": [4, 4]},
    "unet_plus_plus": {"channels": [4, 8, 8]},
    "deeplab_v3_plus": {"width": 4, "pyramid_channels": 8, "shallow_channels": 4},
}


def network(name: str) -> nn.Module:
    """A network whose batch norms have seen something."""
    torch.manual_seed(5)
    made = build_network(NetworkDefinition(architecture=name, parameters=SMALL[name]))
    for norm in [m for m in made.modules() if isinstance(m, nn.BatchNorm2d)]:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        nn.init.normal_(norm.running_mean, std=0.3)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        nn.init.normal_(norm.weight, mean=1.0, std=0.3)
        nn.init.normal_(norm.bias, std=0.3)
    return made.eval()


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_served_form_answers_the_same(name: str) -> None:
    trained = network(name)
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    served = serving_form(trained)
    channels = trained.config.in_channels  # type: ignore[union-attr]
    slices = torch.randn(2, channels, 64, 96)  # type: ignore[arg-type]
    with torch.inference_mode():
        assert torch.allclose(served(slices), trained(slices), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())


def test_batch_norms_after_convolutions_are_gone() -> None:
    norms = [m for m in serving_form(network("modified_resnet")).modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms == []
