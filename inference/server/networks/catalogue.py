"""The network architectures that a contract may name: the only mapping from a name to a class."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError
from torch import nn

from inference.contract import NetworkDefinition
from inference.server.networks.compact_unet3d import CompactUnet3d, CompactUnet3dConfig
from inference.server.networks.deeplab import DeepLabConfig, DeepLabV3Plus
from inference.server.networks.dpn_unet import DpnUnet, DpnUnetConfig
from inference.server.networks.kept_outputs import KeptOutputs
from inference.server.networks.mnet import Mnet, MnetConfig
from inference.server.networks.modified_resnet import ModifiedResNet, ModifiedResNetConfig
from inference.server.networks.monai_resnets import (
    MonaiDynUnet,
    MonaiDynUnetConfig,
    MonaiSegResNet,
    MonaiSegResNetConfig,
)
from inference.server.networks.monai_unets import (
    MonaiBasicUnet,
    MonaiBasicUnetConfig,
    MonaiUnet,
    MonaiUnetConfig,
)
from inference.server.networks.nnunet_unets import NnunetConfig, PlainConvUnet, ResidualEncoderUnet
from inference.server.networks.soars_unet import SoarsUnet, SoarsUnetConfig
from inference.server.networks.uanet import Uanet, UanetConfig
from inference.server.networks.unet2d import Unet2d, Unet2dConfig
from inference.server.networks.unet_plus_plus import UnetPlusPlus, UnetPlusPlusConfig


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network class and the frozen dataclass of the parameters that its constructor takes."""

    config: type[Any]
    network: Callable[[Any], nn.Module]


ARCHITECTURES: Mapping[str, Architecture] = {
    "compact_unet3d": Architecture(config=CompactUnet3dConfig, network=CompactUnet3d),
    "deeplab_v3_plus": Architecture(config=DeepLabConfig, network=DeepLabV3Plus),
    "dpn_unet": Architecture(config=DpnUnetConfig, network=DpnUnet),
    "mnet": Architecture(config=MnetConfig, network=Mnet),
    "modified_resnet": Architecture(config=ModifiedResNetConfig, network=ModifiedResNet),
    "monai_basic_unet": Architecture(config=MonaiBasicUnetConfig, network=MonaiBasicUnet),
    "monai_dynunet": Architecture(config=MonaiDynUnetConfig, network=MonaiDynUnet),
    "monai_segresnet": Architecture(config=MonaiSegResNetConfig, network=MonaiSegResNet),
    "monai_unet": Architecture(config=MonaiUnetConfig, network=MonaiUnet),
    "plain_conv_unet": Architecture(config=NnunetConfig, network=PlainConvUnet),
    "residual_encoder_unet": Architecture(config=NnunetConfig, network=ResidualEncoderUnet),
    "soars_unet": Architecture(config=SoarsUnetConfig, network=SoarsUnet),
    "uanet": Architecture(config=UanetConfig, network=Uanet),
    "unet2d": Architecture(config=Unet2dConfig, network=Unet2d),
    "unet_plus_plus": Architecture(config=UnetPlusPlusConfig, network=UnetPlusPlus),
}


def build_network(definition: NetworkDefinition) -> nn.Module:
    """Build the network of a contract with random weights.

    Raises ValueError for an unknown architecture, and for a parameter that it does not have or that does not fit.
    """
    name = definition.architecture
    if name not in ARCHITECTURES:
        raise ValueError(
            f"there is no network architecture {name!r}; there are: {', '.join(sorted(ARCHITECTURES))}"
        )
    architecture = ARCHITECTURES[name]
    unknown = sorted(set(definition.parameters) - {field.name for field in fields(architecture.config)})
    if unknown:
        raise ValueError(f"the network architecture {name} has no parameters {unknown}")
    try:
        config = TypeAdapter(architecture.config).validate_python(definition.parameters)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}" for fault in error.errors()
        )
        raise ValueError(f"parameters of the network architecture {name}: {faults}") from error
    network = architecture.network(config)
    return KeptOutputs(network, architecture.network(config), definition.kept) if definition.kept else network
