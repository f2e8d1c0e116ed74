"""Resize: the modes and coordinate transformations that networks use.

Deliberately not here: cubic interpolation, antialiasing and regions of interest.
"""
import numpy as np
from builder import const, single, x


def by_scales(name, image, scales, **attrs):
    return single(f"resize_{name}", "Resize", x(*image), "", const([1.0, 1.0, *scales], np.float32), **attrs)


def by_sizes(name, image, sizes, **attrs):
    return single(f"resize_{name}", "Resize", x(*image), "", "", const([*image[:2], *sizes]), **attrs)


def cases():
    floor = dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    half_pixel = dict(mode="linear", coordinate_transformation_mode="half_pixel")
    corners = dict(mode="linear", coordinate_transformation_mode="align_corners")
    yield by_scales("nearest_floor_2x", (1, 3, 4, 5), (2, 2), **floor)
    yield by_scales("nearest_floor_3x2", (1, 2, 4, 5), (3, 2), **floor)
    yield by_sizes("nearest_floor_sizes", (1, 3, 5, 4), (8, 9), **floor)
    yield by_scales("nearest_half_pixel", (1, 3, 4, 5), (2, 2), mode="nearest", nearest_mode="round_prefer_floor",
                    coordinate_transformation_mode="half_pixel")
    yield by_scales("linear_half_pixel_2x", (1, 3, 4, 5), (2, 2), **half_pixel)
    yield by_sizes("linear_half_pixel_sizes", (1, 3, 5, 4), (8, 7), **half_pixel)
    yield by_scales("linear_half_pixel_down", (1, 3, 8, 8), (0.5, 0.5), **half_pixel)
    yield by_sizes("linear_align_corners", (1, 3, 4, 5), (7, 9), **corners)
    yield by_scales("linear_align_corners_2x", (1, 3, 4, 5), (2, 2), **corners)
    yield by_scales("linear_asymmetric_2x", (1, 3, 4, 5), (2, 2), mode="linear", coordinate_transformation_mode="asymmetric")
    yield by_sizes("linear_pytorch_half_pixel", (1, 3, 4, 5), (1, 9), mode="linear", coordinate_transformation_mode="pytorch_half_pixel")
