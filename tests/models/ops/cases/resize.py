"""Resize and GridSample: modes, coordinate transformations, padding.

Deliberately not here: scales or sizes that are computed.
"""
import numpy as np
from builder import const, single, uniform, x


def by_scales(name, image, scales, **attrs):
    return single(f"resize_{name}", "Resize", x(*image), "", const([1.0, 1.0, *scales], np.float32), **attrs)


def by_sizes(name, image, sizes, **attrs):
    return single(f"resize_{name}", "Resize", x(*image), "", "", const([*image[:2], *sizes]), **attrs)


def grid_sample(name, **attrs):
    return single(f"gridsample_{name}", "GridSample", x(2, 2, 4, 5), x(2, 3, 4, 2, draw=uniform(-1.4, 1.4)), **attrs)


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
    cubic = dict(mode="cubic", coordinate_transformation_mode="half_pixel")
    yield by_scales("cubic", (1, 2, 4, 5), (2, 1.5), **cubic)
    yield by_scales("cubic_exclude_outside", (1, 2, 4, 5), (1.75, 0.8), cubic_coeff_a=-0.5, exclude_outside=1, **cubic)
    yield by_sizes("nearest_half_but_for_rounding", (1, 1, 29, 5), (36, 5), mode="nearest", nearest_mode="round_prefer_floor",
                   coordinate_transformation_mode="asymmetric", opset=19).by_reference()
    yield by_scales("nearest_symmetric_between", (1, 1, 7, 9), (3, 1.25), mode="nearest", nearest_mode="floor", opset=19,
                    coordinate_transformation_mode="half_pixel_symmetric")
    yield by_scales("linear_half_pixel_symmetric", (1, 2, 4, 5), (1.3, 0.7), mode="linear", opset=19,
                    coordinate_transformation_mode="half_pixel_symmetric")
    yield by_sizes("linear_antialias", (1, 2, 8, 9), (3, 5), antialias=1, opset=18, **half_pixel)
    yield by_sizes("nearest_ceil", (1, 2, 4, 5), (7, 3), mode="nearest", nearest_mode="ceil",
                   coordinate_transformation_mode="half_pixel")
    yield single("resize_crop", "Resize", x(1, 2, 5, 5), const([0, 0, 0.2, -0.3, 1, 1, 0.9, 1.1], np.float32), "",
                 const([1, 2, 4, 6]), mode="linear", coordinate_transformation_mode="tf_crop_and_resize",
                 extrapolation_value=7.0)
    yield single("resize_opset_10", "Resize", x(1, 2, 3, 4), const([1.0, 1.0, 3.0, 2.0], np.float32), opset=10, mode="nearest")
    yield grid_sample("bilinear_zeros", mode="bilinear", padding_mode="zeros")
    yield grid_sample("nearest_border", mode="nearest", padding_mode="border", align_corners=1)
    yield grid_sample("bicubic_reflection", mode="bicubic", padding_mode="reflection")
    yield grid_sample("bicubic_border", mode="bicubic", padding_mode="border")
    yield grid_sample("bicubic_border_corners", mode="bicubic", padding_mode="border", align_corners=1)
    yield single("gridsample_3d", "GridSample", x(1, 2, 3, 4, 2), x(1, 2, 2, 3, 3, draw=uniform(-1.3, 1.3)), opset=20,
                 mode="linear", padding_mode="reflection", align_corners=1)
