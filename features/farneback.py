"""OpenCV's Farneback optical flow in torch, for a whole sequence on the device where it lies.

Farneback, Two-Frame Motion Estimation Based on Polynomial Expansion, 2003, with the details of OpenCV 5's
optflowgf.cpp, so that the result is the same to about 1e-5 pixels: each frame's polynomial expansion is made once, not
twice; all pairs of a sequence go together. On a CPU it is ten times slower than OpenCV, which is used there. TF32
would cost two decimal places, so convolutions are float32 in full.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from plusmv.features.flow import FarnebackSettings

SMALLEST = 32  # pixels: coarser levels of the pyramid are not used
BORDER_WEIGHTS = (0.14, 0.14, 0.4472, 0.4472, 0.4472)  # the expansion is worth less near the border
REGULARISER = 1e-3  # keeps featureless places from dividing by nothing
R2Y, G2Y, B2Y, ROUND, SHIFT = 9798, 19235, 3735, 1 << 14, 15  # OpenCV's fixed-point luma


def luma(frames: Tensor) -> Tensor:
    """(..., 3) uint8 RGB -> (...) uint8, bit by bit as cv2.COLOR_RGB2GRAY makes it."""
    red, green, blue = frames.to(torch.int32).unbind(-1)
    return ((red * R2Y + green * G2Y + blue * B2Y + ROUND) >> SHIFT).to(torch.uint8)


@torch.inference_mode()
def sequence_flow(greys: Tensor, settings: FarnebackSettings) -> Tensor:
    """(N, H, W) uint8 -> flow from each frame to the next, (N - 1, 2, H, W) float32 pixels: right, down."""
    frames = greys.float()[:, None]
    height, width = frames.shape[-2:]
    flow = frames.new_zeros(len(frames) - 1, 2, 1, 1)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for level in range(_coarsest(height, width, settings), -1, -1):
            scale = settings.pyramid_scale**level
            size = (height, width) if level == 0 else (round(height * scale), round(width * scale))
            sigma = (1 / scale - 1) / 2
            taps = max(round(sigma * 5) | 1, 3)
            image = _resized(_separable(frames, _gaussian(taps, sigma, frames.device), "reflect"), size)
            expansion = _expand(image, settings)
            before, after = expansion[:-1], expansion[1:]
            flow = _resized(flow, size) * (1 / settings.pyramid_scale)
            for _ in range(settings.iterations):
                flow = _solve(_blurred(_equations(before, after, flow), settings))
    return flow


def _coarsest(height: int, width: int, settings: FarnebackSettings) -> int:
    """The last level at which both sides still have 32 pixels."""
    level, scale = 0, 1.0
    while level < settings.levels and min(height, width) * scale * settings.pyramid_scale >= SMALLEST:
        level, scale = level + 1, scale * settings.pyramid_scale
    return level


def _gaussian(taps: int, sigma: float, device: torch.device) -> Tensor:
    """cv2.getGaussianKernel in float32: a fixed table for small kernels without sigma."""
    if sigma <= 0:
        fixed = {1: [1.0], 3: [0.25, 0.5, 0.25], 5: [1, 4, 6, 4, 1], 7: [2, 7, 14, 18, 14, 7, 2]}
        kernel = torch.tensor(fixed[taps], dtype=torch.float64)
    else:
        offsets = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
        kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    return (kernel / kernel.sum()).float().to(device)


def _separable(x: Tensor, kernel: Tensor, border: str) -> Tensor:
    """Filter (N, C, H, W) along rows and along columns, channels apart. border: "reflect" or "replicate"."""
    radius, channels = len(kernel) // 2, x.shape[1]
    for shape, padding in (((1, 1, 1, -1), (radius, radius, 0, 0)), ((1, 1, -1, 1), (0, 0, radius, radius))):
        weight = kernel.view(shape).expand(channels, -1, -1, -1)
        x = F.conv2d(F.pad(x, padding, border), weight, groups=channels)
    return x


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, pixel centres at halves, as cv2.INTER_LINEAR."""
    return x if x.shape[-2:] == size else F.interpolate(x, size, mode="bilinear", align_corners=False)


def _expand(image: Tensor, settings: FarnebackSettings) -> Tensor:
    """(N, 1, H, W) -> (N, 5, H, W): coefficients y, x, y^2, x^2, xy of the local polynomial (Farneback, section 2)."""
    radius, sigma = settings.poly_n, settings.poly_sigma
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weight = torch.exp(-(offsets**2) / (2 * sigma**2)).float().double()
    weight /= weight.sum()
    g = weight.float().to(image.device)
    xg = (weight * offsets).float().to(image.device)
    xxg = (weight * offsets**2).float().to(image.device)
    # The Gram matrix of 1, x, y, x^2, y^2, xy under the weights, and what OpenCV calls ig11, ig03, ig33, ig55.
    second = float((g.cpu().double() * offsets**2).sum() * g.cpu().double().sum())
    fourth = float((g.cpu().double() * offsets**4).sum() * g.cpu().double().sum())
    cross = float((g.cpu().double() * offsets**2).sum() ** 2)
    zeroth = float(g.cpu().double().sum() ** 2)
    gram = torch.tensor(
        [[zeroth, second, second], [second, fourth, cross], [second, cross, fourth]], dtype=torch.float64
    )
    inverse = torch.linalg.inv(gram)
    ig11, ig03, ig33, ig55 = 1 / second, float(inverse[0, 1]), float(inverse[1, 1]), 1 / cross
    rows = F.conv2d(
        F.pad(image, (0, 0, radius, radius), "replicate"), torch.stack([g, xg, xxg]).view(3, 1, -1, 1)
    )  # (N, 3, H, W): smoothed, first and second moment along a column
    rows = F.pad(rows, (radius, radius, 0, 0), "replicate")
    along = lambda part, kernel: F.conv2d(rows[:, part : part + 1], kernel.view(1, 1, 1, -1))  # noqa: E731
    b1, b2, b4 = along(0, g), along(0, xg), along(0, xxg)
    b3, b6 = along(1, g), along(1, xg)
    b5 = along(2, g)
    return torch.cat([b3 * ig11, b2 * ig11, b1 * ig03 + b5 * ig33, b1 * ig03 + b4 * ig33, b6 * ig55], dim=1)


def _equations(before: Tensor, after: Tensor, flow: Tensor) -> Tensor:
    """The normal equations of the displacement at each pixel: (N, 5, H, W) as g11, g12, g22, h1, h2 (section 4)."""
    height, width = flow.shape[-2:]
    rows = torch.arange(height, device=flow.device, dtype=torch.float32).view(-1, 1)
    columns = torch.arange(width, device=flow.device, dtype=torch.float32).view(1, -1)
    x, y = columns + flow[:, 0], rows + flow[:, 1]
    left, top = x.floor(), y.floor()
    inside = (left >= 0) & (left < width - 1) & (top >= 0) & (top < height - 1)
    moved = _bilinear(after, left.long(), top.long(), x - left, y - top, inside)
    b = before
    inside = inside[:, None]
    a11 = torch.where(inside, (b[:, 2:3] + moved[:, 2:3]) * 0.5, b[:, 2:3])
    a22 = torch.where(inside, (b[:, 3:4] + moved[:, 3:4]) * 0.5, b[:, 3:4])
    a12 = torch.where(inside, (b[:, 4:5] + moved[:, 4:5]) * 0.25, b[:, 4:5] * 0.5)
    linear = (b[:, :2] - torch.where(inside, moved[:, :2], torch.zeros_like(moved[:, :2]))) * 0.5
    right, down = flow[:, :1], flow[:, 1:]
    r2 = linear[:, :1] + a11 * down + a12 * right
    r3 = linear[:, 1:] + a12 * down + a22 * right
    weight = _border(height, flow.device).view(-1, 1) * _border(width, flow.device).view(1, -1)
    a11, a12, a22, r2, r3 = (part * weight for part in (a11, a12, a22, r2, r3))
    return torch.cat(
        [a11 * a11 + a12 * a12, (a11 + a22) * a12, a22 * a22 + a12 * a12, a11 * r2 + a12 * r3, a12 * r2 + a22 * r3], 1
    )


def _bilinear(x: Tensor, left: Tensor, top: Tensor, fx: Tensor, fy: Tensor, inside: Tensor) -> Tensor:
    """x (N, C, H, W) at each pixel's own place, between four neighbours; any value where `inside` is not."""
    width = x.shape[-1]
    corner = torch.where(inside, top * width + left, 0).flatten(1)[:, None]  # (N, 1, H * W)
    flat = x.flatten(2)
    take = lambda offset: flat.gather(2, (corner + offset).expand(-1, x.shape[1], -1)).view_as(x)  # noqa: E731
    fx, fy = fx[:, None], fy[:, None]
    upper = take(0) * ((1 - fx) * (1 - fy)) + take(1) * (fx * (1 - fy))
    return upper + take(width) * ((1 - fx) * fy) + take(width + 1) * (fx * fy)


def _border(size: int, device: torch.device) -> Tensor:
    """How much each row or column counts: less within five pixels of either end."""
    weights = torch.ones(size)
    for index, weight in enumerate(BORDER_WEIGHTS[:size]):
        weights[index] *= weight
        weights[size - 1 - index] *= weight
    return weights.to(device)


def _blurred(equations: Tensor, settings: FarnebackSettings) -> Tensor:
    """The equations averaged over the window around each pixel; a box in float64, as OpenCV sums it."""
    radius = settings.window // 2
    if settings.gaussian:
        sigma = radius * 0.3
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
        kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
        return _separable(equations, (kernel / kernel.sum()).float().to(equations.device), "replicate")
    sums = F.pad(equations, (radius,) * 4, "replicate").double()
    for axis in (2, 3):
        running = F.pad(sums.cumsum(axis), (1, 0) if axis == 3 else (0, 0, 1, 0))
        size = running.shape[axis] - 2 * radius - 1
        sums = running.narrow(axis, 2 * radius + 1, size) - running.narrow(axis, 0, size)
    return sums / settings.window**2


def _solve(equations: Tensor) -> Tensor:
    """The displacement that solves the 2 x 2 equations of each pixel: (N, 2, H, W)."""
    g11, g12, g22, h1, h2 = equations.split(1, dim=1)
    determinant = 1 / (g11 * g22 - g12 * g12 + REGULARISER)
    return torch.cat([(g11 * h2 - g12 * h1) * determinant, (g22 * h1 - g12 * h2) * determinant], dim=1).float()
