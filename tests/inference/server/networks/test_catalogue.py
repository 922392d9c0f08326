"""Every architecture of the catalogue is built from a contract's numbers, as JSON gives them."""

import pytest
import torch

from inference.contract import NetworkDefinition
from inference.server.networks.catalogue import ARCHITECTURES, build_network
from inference.server.networks.mnet import MNET_VARIANTS, Mnet
from tests.support.networks import parameters

SIDES = {"in_channels": 1, "out_channels": 2}
WITHOUT_DEFAULTS = {
    "monai_dynunet": {
        **SIDES,
        "kernel_size": [3, 3, 3],
        "strides": [1, 2, 2],
        "upsample_kernel_size": [2, 2],
    },
    "monai_unet": {**SIDES, "channels": [4, 8], "strides": [2]},
}


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_an_architecture_is_built_with_its_defaults(name: str) -> None:
    definition = NetworkDefinition(architecture=name, parameters=WITHOUT_DEFAULTS.get(name, {}))
    with torch.device("meta"):
        assert list(build_network(definition).parameters())


def test_lists_and_names_from_json_reach_the_network() -> None:
    operations = ["2d3", "2d5", "3d3", "3d3", "p3d3", "p3d5", "2d3", "3d3", "p3d3"]
    definition = NetworkDefinition(
        architecture="soars_unet",
        parameters={"channels": [4, 8, 8, 8, 8], "operations": operations, "norm": "batch"},
    )
    with torch.device("meta"):
        network = build_network(definition)
    assert list(network.config.operations) == operations
    im = MNET_VARIANTS["mnet_im"]
    same = NetworkDefinition(
        architecture="mnet", parameters={"in_channels": 5, "side_inputs": [64, 64, 64, 64]}
    )
    assert parameters(lambda: build_network(same)) == parameters(lambda: Mnet(im))


@pytest.mark.parametrize(
    ("name", "numbers", "words"),
    [
        ("soars_unet", {"operations": ["3d3"]}, "9 operations"),
        ("soars_unet", {"operations": ["os.system"] * 9}, "no operation"),
        ("mnet", {"ending": "median"}, "ending"),
        ("deeplab_v3_plus", {"backbone": "vgg"}, "backbone"),
        ("dpn_unet", {"blocks": [3]}, "increments"),
        ("unet2d", {"widths": [3]}, "no parameters"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(name: str, numbers: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_network(NetworkDefinition(architecture=name, parameters=numbers))


def test_kept_outputs_are_those_of_the_network_before() -> None:
    """Two networks of one definition: each answers for its own outputs, in two and three dimensions."""
    for name, shape in (("unet2d", (1, 1, 16, 16)), ("soars_unet", (1, 1, 16, 16, 16))):
        numbers = {"in_channels": 1, "out_channels": 3, "channels": [4, 8]}
        if name == "soars_unet":
            numbers["operations"] = ["3d3"] * 3
        network = build_network(NetworkDefinition(architecture=name, parameters=numbers, kept=(0, 2))).eval()
        inputs = torch.rand(shape)
        with torch.no_grad():
            found, adapted, before = network(inputs), network.adapted(inputs), network.before(inputs)
        assert not torch.equal(adapted, before)
        assert torch.equal(found, torch.stack([before[:, 0], adapted[:, 1], before[:, 2]], dim=1))
    with pytest.raises(ValueError, match="no output 3 of 3"):
        build_network(NetworkDefinition(architecture="unet2d", parameters={"out_channels": 3}, kept=(3,)))
