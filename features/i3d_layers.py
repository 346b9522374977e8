"""The layers of Inception-v1 I3D as a table: names as in DeepMind's checkpoint, and shapes. Carreira & Zisserman 2017.

No torch here, so that weights can be read and checked without loading it.
"""

CHANNELS = {"rgb": 3, "flow": 2}  # of a stream
STREAMS = tuple(CHANNELS)
CLASSES = 400  # Kinetics-400
WIDTH = 1024  # channels of Mixed_5c, hence of a feature
FIRST = "Conv3d_1a_7x7"
LOGITS = "Logits/Conv3d_0c_1x1"

# Outputs of branch 0, of the two layers of branches 1 and 2, and of branch 3.
MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def unit_shapes(channels: int) -> dict[str, tuple[int, ...]]:
    """Unit name -> shape of its convolution (out, in, T, H, W); channels: 3 for RGB, 2 for flow."""
    shapes: dict[str, tuple[int, ...]] = {
        FIRST: (64, channels, 7, 7, 7),
        "Conv3d_2b_1x1": (64, 64, 1, 1, 1),
        "Conv3d_2c_3x3": (192, 64, 3, 3, 3),
    }
    width = 192
    for mixed, (b0, b1a, b1b, b2a, b2b, b3) in MIXED.items():
        shapes[f"{mixed}/Branch_0/Conv3d_0a_1x1"] = (b0, width, 1, 1, 1)
        shapes[f"{mixed}/Branch_1/Conv3d_0a_1x1"] = (b1a, width, 1, 1, 1)
        shapes[f"{mixed}/Branch_1/Conv3d_0b_3x3"] = (b1b, b1a, 3, 3, 3)
        shapes[f"{mixed}/Branch_2/Conv3d_0a_1x1"] = (b2a, width, 1, 1, 1)
        shapes[f"{mixed}/Branch_2/Conv3d_0b_3x3"] = (b2b, b2a, 3, 3, 3)
        shapes[f"{mixed}/Branch_3/Conv3d_0b_1x1"] = (b3, width, 1, 1, 1)
        width = b0 + b1b + b2b + b3
    return shapes


def tensor_shapes(channels: int) -> dict[str, tuple[int, ...]]:
    """Every tensor of a network's weights as we store them: per unit a weight and its batch norm, and the logits."""
    shapes: dict[str, tuple[int, ...]] = {}
    for unit, shape in unit_shapes(channels).items():
        shapes[f"{unit}/weight"] = shape
        shapes |= {f"{unit}/{part}": shape[:1] for part in ("beta", "mean", "variance")}
    return shapes | {f"{LOGITS}/weight": (CLASSES, WIDTH), f"{LOGITS}/bias": (CLASSES,)}
