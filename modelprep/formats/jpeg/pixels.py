"""From DCT coefficients to pixels, by stb_image's integer arithmetic."""

from __future__ import annotations

from array import array
from typing import Any

from modelprep.errors import StepError
from modelprep.formats.jpeg.segments import ZIGZAG, Component, Frame, State, ceil

#: Samples that are worked on at a time: intermediate results take 60 bytes a sample.
_STRIP = 1 << 18


def _idct_1d(s: list[Any]) -> tuple[list[Any], list[Any]]:
    # Factors as stb_image has them: the float's (int)(x * 4096 + 0.5), of 0.5411961f, -1.847759065f, 0.765366865f, ...
    p1 = (s[2] + s[6]) * 2217
    t2, t3 = p1 - s[6] * 7567, p1 + s[2] * 3135
    t0, t1 = (s[0] + s[4]) * 4096, (s[0] - s[4]) * 4096
    x = [t0 + t3, t1 + t2, t1 - t2, t0 - t3]
    t0, t1, t2, t3 = s[7], s[5], s[3], s[1]
    p3, p4 = t0 + t2, t1 + t3
    p5 = (p3 + p4) * 4816
    p1, p2, p3, p4 = p5 - (t0 + t3) * 3685, p5 - (t1 + t2) * 10497, p3 * -8034, p4 * -1597
    return x, [t3 * 6149 + p1 + p4, t2 * 12586 + p2 + p3, t1 * 8410 + p2 + p4, t0 * 1223 + p1 + p3]


def _idct(blocks: Any) -> Any:
    """Inverse DCT of dequantized blocks, int32 (n, 64) -> uint8 (n, 8, 8), by stb_image's integer arithmetic."""
    import numpy as np

    d = blocks.reshape(-1, 8, 8)
    x, t = _idct_1d([d[:, i, :] for i in range(8)])
    v = np.empty_like(d)
    for i in range(4):
        v[:, i, :] = (x[i] + 512 + t[i]) >> 10
        v[:, 7 - i, :] = (x[i] + 512 - t[i]) >> 10
    x, t = _idct_1d([v[:, :, i] for i in range(8)])
    out = np.empty(d.shape, np.uint8)
    rounding = 65536 + (128 << 17)
    for i in range(4):
        out[:, :, i] = np.clip((x[i] + rounding + t[i]) >> 17, 0, 255)
        out[:, :, 7 - i] = np.clip((x[i] + rounding - t[i]) >> 17, 0, 255)
    return out


def _plane(component: Component, state: State) -> Any:
    """Return a component's samples, uint8 (8 * blocks_y, 8 * blocks_x), and free its coefficients."""
    import numpy as np

    if component.table not in state.quant:
        raise StepError("the JPEG is damaged: a quantization table that was never given", where=state.origin)
    quant = np.array(state.quant[component.table], np.int32)
    zigzag: Any = np.frombuffer(component.coefficients, np.int16).reshape(component.blocks_y, component.blocks_x, 64)
    plane: Any = np.empty((component.blocks_y * 8, component.blocks_x * 8), np.uint8)
    rows = max(1, _STRIP // (64 * component.blocks_x))
    for top in range(0, component.blocks_y, rows):
        strip = zigzag[top : top + rows]
        values = np.empty(strip.shape, np.int32)
        # stb_image keeps dequantized coefficients in 16 bits.
        values[:, :, ZIGZAG] = (strip * quant).astype(np.int16)
        pixels = _idct(values).reshape(*strip.shape[:2], 8, 8).transpose(0, 2, 1, 3)
        plane[8 * top : 8 * (top + rows)] = pixels.reshape(-1, component.blocks_x * 8)
    component.coefficients = array("h")
    return plane


def _scale_up(plane: Any, component: Component, frame: Frame, rows: Any) -> Any:
    """Scale some rows of a component to the picture's size as stb_image does.

    Triangle filters for factors of two, repetition for the rest; int32 (len(rows), width).
    """
    import numpy as np

    hs, vs = frame.h_max // component.h, frame.v_max // component.v
    low_w = ceil(frame.width, hs)
    low_h = ceil(frame.height * component.v, frame.v_max)

    def samples(which: Any) -> Any:
        return plane[which, :low_w].astype(np.int32)

    if vs == 2 and hs in (1, 2):
        near: Any = rows // 2
        far = np.clip(np.where(rows % 2 == 1, near + 1, near - 1), 0, low_h - 1)
        base, bits = 3 * samples(near) + samples(far), 2  # four times the sample
    else:
        base, bits = samples(rows // vs), 0
    out = np.repeat((base + (1 << bits >> 1)) >> bits, hs, axis=1)
    if hs == 2 and vs in (1, 2):
        out[:, 1:-1:2] = (3 * base[:, :-1] + base[:, 1:] + (2 << bits)) >> bits + 2
        out[:, 2:-1:2] = (3 * base[:, 1:] + base[:, :-1] + (2 << bits)) >> bits + 2
        if vs == 1 and low_w > 1:
            # stb_image's last pair weighs its two samples the other way round; kept, since the board has it too.
            out[:, -2] = (3 * base[:, -2] + base[:, -1] + 2) >> 2
    return out[:, : frame.width]


def assemble(frame: Frame, state: State) -> Any:
    """Make the picture, uint8 (height, width, 1 or 3), from all coefficients: a strip at a time, to spare memory."""
    import numpy as np

    planes = [_plane(c, state) for c in frame.components]
    picture: Any = np.empty((frame.height, frame.width, 1 if len(planes) == 1 else 3), np.uint8)
    step = max(1, _STRIP // frame.width)
    for top in range(0, frame.height, step):
        rows = np.arange(top, min(top + step, frame.height))
        strips = [_scale_up(plane, c, frame, rows) for plane, c in zip(planes, frame.components, strict=True)]
        picture[top : top + step] = _coloured(strips, frame, state)
    return picture


def _coloured(planes: list[Any], frame: Frame, state: State) -> Any:
    """Make pixels, uint8 (rows, width, 1 or 3), of samples."""
    import numpy as np

    if len(planes) == 1:
        return planes[0].astype(np.uint8)[:, :, None]
    if len(planes) == 3:
        plain = [c.id for c in frame.components] == list(b"RGB") or (state.adobe == 0 and not state.jfif)
        return np.stack(planes, axis=-1).astype(np.uint8) if plain else _to_rgb(*planes)
    if state.adobe not in (0, 2):
        return _to_rgb(*planes[:3])
    inks: Any = planes[:3]  # CMYK
    if state.adobe == 2:  # YCCK: the converted colours are inverted CMY
        inks = np.moveaxis(255 - _to_rgb(*inks).astype(np.int32), -1, 0)
    return np.stack([_blend(ink, planes[3]) for ink in inks], axis=-1).astype(np.uint8)


def _blend(x: Any, y: Any) -> Any:
    t = x * y + 128
    return (t + (t >> 8)) >> 8


def _to_rgb(y: Any, cb: Any, cr: Any) -> Any:
    """Convert to RGB, uint8 (h, w, 3), with stb_image's 20-bit fixed point (green's cb term loses its low 16 bits)."""
    import numpy as np

    def fixed(value: float) -> int:
        return int(np.float32(value) * np.float32(4096) + np.float32(0.5)) << 8

    luma = (y << 20) + (1 << 19)
    red, blue = cr - 128, cb - 128
    r = luma + red * fixed(1.40200)
    g = luma - red * fixed(0.71414) + ((blue * -fixed(0.34414)) & -65536)
    b = luma + blue * fixed(1.77200)
    return np.clip(np.stack([r, g, b], axis=-1) >> 20, 0, 255).astype(np.uint8)
