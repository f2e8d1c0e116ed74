"""Cases in which one implementation differs from ONNX's text or from the others, as scripts of findings/ show.

Deliberately not here: cases that the pages of one operator own (semantics.py).
"""
import numpy as np

from builder import Model, const, single, x
from cases.semantics import expecting, values


def one_element():
    """Resized to one element by `pytorch_half_pixel`: from place 0, not from -0.5."""
    m = Model("semantics_resize_pytorch_one", 19)
    v = m.add(x(1, 1, 4, 5))
    place = {"coordinate_transformation_mode": "pytorch_half_pixel", "axes": [2, 3]}
    return m.result(*[m.op("Resize", v, "", "", const(sizes), **place, **kind)
                      for kind in ({"mode": "cubic"}, {"mode": "linear", "antialias": 1}) for sizes in ([1, 1], [1, 5], [4, 1])])


def border_neighbours():
    """Cubic interpolation around and beyond a border: neighbours outside are the border's element, the place stays."""
    places = (-1.75, -0.75, 0.5, 3.25, 3.75, 4.75)
    grid = [v for place in places for v in ((2 * place + 1) / 4 - 1, 0)]
    return single("semantics_grid_sample_border", "GridSample", values(0, 1, 2, 7, shape=(1, 1, 1, 4)), values(*grid, shape=(1, 1, 6, 2)),
                  mode="cubic", padding_mode="border", align_corners=0, opset=20)


def single_places():
    """A grid one element high or wide with align_corners: that element lies in the middle."""
    m = Model("semantics_affine_grid_single", 20)
    theta = m.add(values(1, 0, 0, 0, 1, 0, shape=(1, 2, 3)))
    grids = [m.op("AffineGrid", theta, const([1, 1, *size]), align_corners=1) for size in ((1, 3), (3, 1), (1, 1))]
    ends = (-1, 0, 1)
    return expecting(m.result(*grids), [[[[at, 0] for at in ends]]], [[[[0, at]] for at in ends]], [[[[0, 0]]]])


def inverse_lengths():
    """Real signals from half a spectrum, of other lengths than the bins give: bins behind are left out, or zeros."""
    m = Model("semantics_dft_inverse_length", 20)
    v = m.add(x(1, 7, 2, draw=lambda rng, _: bins(rng.standard_normal(12))))
    lengths = (12, 6, 7, 19)
    results = [m.op("DFT", v, const(length), const(1), inverse=1, onesided=1) for length in lengths]
    spectrum = lambda data: data[..., 0].astype(np.float64) + 1j * data[..., 1]
    return m.result(*results).by_formula(lambda data: tuple(np.fft.irfft(spectrum(data), n, axis=1)[..., None] for n in lengths)).not_standard()


def bins(signal):
    spectrum = np.fft.rfft(signal)
    return np.stack([spectrum.real, spectrum.imag], -1).astype(np.float32)[None]


def cases():
    yield one_element()
    yield single_places()
    yield inverse_lengths()
    yield border_neighbours()
