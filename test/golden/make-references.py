"""
Makes the golden references: small inputs from the shipped photos, and what Pillow, OpenCV and scikit-image make of
them. Run it from anywhere with the versions in VERSIONS.json: `python3 test/golden/make-references.py`.
Everything it writes lies beside it: inputs/, references/, manifest.json, VERSIONS.json.
"""

import io
import json
import platform
import shutil
from pathlib import Path

import cv2
import numpy as np
import PIL
import scipy
import skimage
from PIL import Image, ImageCms, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from skimage.filters import gaussian

import icc

HERE = Path(__file__).resolve().parent
PHOTOS = HERE.parent / "fixtures" / "photos"
SIZE = (96, 64)
EXACT = {"kind": "exact"}

cases = []
names = set()


def max_diff(levels):
    return {"kind": "maxdiff", "atMost": levels}


def psnr(decibels):
    return {"kind": "psnr", "atLeast": decibels}


def ssim(least):
    return {"kind": "ssim", "atLeast": least}


def visible(array):
    """What a case adds for images with alpha where all but hidden colours must agree."""
    return {"premultiplied": True} if has_alpha(array) else {}


# --- inputs ---------------------------------------------------------------------------------------------------


def photo(name, box, size=SIZE):
    return Image.open(PHOTOS / name).crop(box).resize(size, Image.LANCZOS)


def deepened(array):
    """16 bits with detail below the eighth bit, the same each time."""
    noise = np.random.default_rng(16).integers(-128, 129, array.shape)
    return np.clip(array.astype(np.int32) * 257 + noise, 0, 65535).astype(np.uint16)


def round_alpha(size, depth=255):
    """Transparent corners, opaque middle; what it hides keeps its colour."""
    x, y = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]))
    return np.rint(np.clip(1.5 - 1.3 * np.hypot(x, y), 0, 1) * depth).astype(np.uint8 if depth == 255 else np.uint16)


def make_inputs():
    colour = np.asarray(photo("coffee.png", (120, 40, 480, 280)).convert("RGB"))
    grey = np.asarray(photo("camera.png", (150, 40, 390, 200)).convert("L"))
    portrait = np.asarray(photo("astronaut.png", (120, 20, 360, 180)).convert("RGB"))
    wide = np.asarray(photo("dandelions.jpg", (400, 900, 4400, 903), (4000, 3)).convert("RGB"))
    return {
        "colour": colour,
        "grey": grey,
        "colour-alpha": np.dstack([portrait, round_alpha(SIZE)]),
        "grey-alpha": np.dstack([grey, round_alpha(SIZE)]),
        "colour-16": deepened(colour),
        "grey-16": deepened(grey),
        "colour-alpha-16": np.dstack([deepened(portrait), round_alpha(SIZE, 65535)]),
        "one-pixel": colour[30:31, 40:41],
        "wide": wide,
    }


def write_png(folder, name, array):
    """Any depth and channels; Pillow cannot write 16-bit colour, OpenCV no grey with alpha."""
    path = HERE / folder / f"{name}.png"
    if array.dtype == np.uint8:
        Image.fromarray(array).save(path, optimize=True)
    else:
        order = {2: None, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[2 if array.ndim == 2 else array.shape[2]]
        cv2.imwrite(str(path), array if order is None else cv2.cvtColor(array, order))
    return f"{folder}/{name}.png"


# --- the manifest ---------------------------------------------------------------------------------------------


def case(name, made_by, filter, params, input, expected, comparison, **more):
    """`expected` is an array, or the path of a file that another case wrote."""
    assert name not in names, name
    names.add(name)
    reference = expected if isinstance(expected, str) else write_png("references", name, np.asarray(expected))
    cases.append(
        {"name": name, "madeBy": made_by, "filter": filter, "params": params, "input": input, "reference": reference}
        | more
        | {"comparison": comparison}
    )


def has_alpha(array):
    return array.ndim == 3 and array.shape[2] in (2, 4)


def maximum(array):
    return int(np.iinfo(array.dtype).max)


def level(array):
    """One of 255 levels, in the array's own range."""
    return maximum(array) // 255


def colours(array):
    """The colour channels, three-dimensional."""
    array = array[..., None] if array.ndim == 2 else array
    return array[..., : array.shape[2] - has_alpha(array)]


def with_alpha_of(array, result):
    result = np.dstack([result, array[..., -1]]) if has_alpha(array) else result
    return result[..., 0] if result.ndim == 3 and result.shape[2] == 1 else result


# --- filters --------------------------------------------------------------------------------------------------

ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
    "sharpen": ImageEnhance.Sharpness,
}


def luma(array):
    """Rec. 601 as Pillow's "L", at any depth."""
    rgb = colours(array).astype(np.int64)
    if rgb.shape[2] == 1:
        return rgb[..., 0]
    return (rgb @ np.array([19595, 38470, 7471]) + 32768) >> 16


def smoothed(array):
    """Pillow's SMOOTH at any depth: the border is kept."""
    rgb = colours(array).astype(np.int64)
    padded = np.pad(rgb, ((1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = rgb.shape[:2]
    total = sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3)) + 4 * rgb
    result = rgb.copy()
    result[1:-1, 1:-1] = ((2 * total + 13) // 26)[1:-1, 1:-1]
    return result


def enhanced(name, array, factor):
    """ImageEnhance's formula where Pillow has no such mode: 16 bits, in single precision as Blend.c."""
    rgb = colours(array)
    mean = int(luma(array).mean() + 0.5)
    base = {
        "brightness": lambda: np.zeros(rgb.shape),
        "contrast": lambda: np.full(rgb.shape, mean),
        "saturation": lambda: np.broadcast_to(luma(array)[..., None], rgb.shape),
        "sharpen": lambda: smoothed(array),
    }[name]()
    base = base.astype(np.float32)
    blended = base + np.float32(factor) * (rgb.astype(np.float32) - base)
    return with_alpha_of(array, np.clip(np.trunc(blended), 0, maximum(array)).astype(array.dtype))


def add_enhancers(inputs):
    for name, enhancer in ENHANCERS.items():
        for key, path, array in inputs:
            for factor in (0.4, 1.7) if key in ("colour", "colour-alpha") else (1.7,):
                if array.dtype == np.uint8:
                    expected, by = np.asarray(enhancer(Image.fromarray(array)).enhance(factor)), "Pillow"
                else:
                    expected, by = enhanced(name, array, factor), "numpy, Pillow's formula"
                case(f"{name}-{factor}-{key}", by, name, {"factor": factor}, path, expected, EXACT)


def add_grayscale(inputs):
    for key, path, array in inputs:
        if array.dtype == np.uint8:
            expected = np.asarray(Image.fromarray(array).convert("LA" if has_alpha(array) else "L"))
            case(f"grayscale-{key}", "Pillow", "grayscale", {}, path, expected, EXACT)
        elif not has_alpha(array):
            expected = luma(array).astype(array.dtype)
            case(f"grayscale-{key}", "numpy, Pillow's formula", "grayscale", {}, path, expected, EXACT)


def exact_blur(array, sigma):
    """The Gaussian in double precision, edges replicated, colour weighted by alpha."""
    values = (array[..., None] if array.ndim == 2 else array).astype(np.float64)
    options = {"mode": "nearest", "truncate": 8, "preserve_range": True}
    if not has_alpha(array):
        return np.stack([gaussian(values[..., c], sigma, **options) for c in range(values.shape[2])], axis=-1)
    alpha = values[..., -1] / maximum(array)
    blurred = gaussian(alpha, sigma, **options)
    weighted = [gaussian(values[..., c] * alpha, sigma, **options) for c in range(values.shape[2] - 1)]
    shown = np.rint(blurred * maximum(array)) > 0
    result = [np.where(shown, channel / np.maximum(blurred, 1e-12), 0) for channel in weighted]
    return np.stack([*result, blurred * maximum(array)], axis=-1)


def stored(values, array):
    rounded = np.clip(np.rint(values), 0, maximum(array)).astype(array.dtype)
    return rounded[..., 0] if rounded.shape[2] == 1 else rounded


def add_blur(inputs):
    for key, path, array in inputs:
        for sigma in (0.6, 2, 5, 9, 40) if key in ("colour", "colour-16") else (3, 12):
            expected = stored(exact_blur(array, sigma), array)
            params = {"radius": sigma}
            allowed = max_diff(level(array))
            case(f"blur-{sigma}-{key}", "scikit-image", "blur", params, path, expected, allowed, **visible(array))
    path, array = next((path, array) for key, path, array in inputs if key == "colour")
    pillow = Image.fromarray(array).filter(ImageFilter.GaussianBlur(4))
    case("blur-4-colour-pillow", "Pillow", "blur", {"radius": 4}, path, pillow, psnr(45))


def unsharpened(array, radius, percent, threshold):
    """UnsharpMask.c's formula on the exact Gaussian; alpha is kept."""
    rgb = colours(array).astype(np.int64)
    blurred = colours(stored(exact_blur(array, radius), array)).astype(np.int64)
    difference = rgb - blurred
    change = np.trunc(difference * percent / 100).astype(np.int64)
    change = np.where(np.abs(difference) > threshold * level(array), change, 0)
    return with_alpha_of(array, np.clip(rgb + change, 0, maximum(array)).astype(array.dtype))


def add_unsharp_mask(inputs):
    params = {"radius": 2, "amount": 150, "threshold": 0}
    for key, path, array in inputs:
        # One level of the blur is one and a half of the result.
        expected = unsharpened(array, 2, 150, 0)
        allowed = max_diff(2 * level(array))
        by = "scikit-image, Pillow's formula"
        case(f"unsharp-{key}", by, "sharpen", params, path, expected, allowed, **visible(array))
        if array.dtype == np.uint8 and not has_alpha(array):
            pillow = Image.fromarray(array).filter(ImageFilter.UnsharpMask(2, 150, 3))
            named = {"radius": 2, "amount": 150, "threshold": 3}
            case(f"unsharp-{key}-pillow", "Pillow", "sharpen", named, path, pillow, psnr(42))


def edge_plane(array):
    """What edges are looked for in: OpenCV's luma × alpha."""
    rgb = colours(array)
    plane = rgb[..., 0] if rgb.shape[2] == 1 else cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    if has_alpha(array):
        plane = np.floor(plane * array[..., -1].astype(np.float64) / maximum(array) + 0.5)
    return plane.astype(array.dtype)


def add_edges(inputs):
    for key, path, array in inputs:
        plane = edge_plane(array)
        eight = plane if plane.dtype == np.uint8 else np.rint(plane / 257).astype(np.uint8)
        for low, high, l2 in ((100, 200, False), (50, 150, True), (20, 60, False)):
            params = {"method": "canny", "low": low, "high": high} | ({"l2": True} if l2 else {})
            expected = cv2.Canny(eight, low, high, L2gradient=l2)
            name = f"canny-{low}-{high}-{'l2' if l2 else 'l1'}-{key}"
            case(name, "OpenCV", "edges", params, path, expected, EXACT)
        border = {"borderType": cv2.BORDER_REPLICATE}
        x = cv2.Sobel(plane, cv2.CV_64F, 1, 0, ksize=3, **border)
        y = cv2.Sobel(plane, cv2.CV_64F, 0, 1, ksize=3, **border)
        for direction, value in (("both", np.hypot(x, y)), ("x", np.abs(x)), ("y", np.abs(y))):
            if direction != "both" and key != "colour":
                continue
            params = {"method": "sobel"} | ({} if direction == "both" else {"direction": direction})
            expected = np.clip(np.rint(value), 0, maximum(array)).astype(array.dtype)
            case(f"sobel-{direction}-{key}", "OpenCV", "edges", params, path, expected, EXACT)
        laplacian = np.abs(cv2.Laplacian(plane, cv2.CV_64F, ksize=1, **border))
        expected = np.clip(laplacian, 0, maximum(array)).astype(array.dtype)
        case(f"laplacian-{key}", "OpenCV", "edges", {"method": "laplacian"}, path, expected, EXACT)


def add_geometry(inputs):
    for key, path, array in inputs:
        for direction, expected in (("horizontal", array[:, ::-1]), ("vertical", array[::-1])):
            params = {"direction": direction}
            case(f"flip-{direction}-{key}", "numpy", "flip", params, path, np.ascontiguousarray(expected), EXACT)
        height, width = array.shape[:2]
        box = {"left": width // 4, "top": height // 3, "width": (width + 1) // 2, "height": (height + 1) // 2}
        expected = array[box["top"] : box["top"] + box["height"], box["left"] : box["left"] + box["width"]]
        case(f"crop-{key}", "numpy", "crop", box, path, np.ascontiguousarray(expected), EXACT)
        for angle in (90, 180, 270):
            expected = np.ascontiguousarray(np.rot90(array, -angle // 90))
            case(f"rotate-{angle}-{key}", "numpy", "rotate", {"angle": angle}, path, expected, EXACT)
    add_slanted(inputs)


def add_slanted(inputs):
    """Bilinear rotation about the centre onto a white canvas of the size the filter documents."""
    path, array = next((path, array) for key, path, array in inputs if key == "colour")
    height, width = array.shape[:2]
    for angle in (17, -40):
        turn = np.deg2rad(angle)
        size = [
            int(np.ceil(a * abs(np.cos(turn)) + b * abs(np.sin(turn)) - 1e-6))
            for a, b in ((width, height), (height, width))
        ]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1)
        matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
        white = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": (255, 255, 255)}
        expected = cv2.warpAffine(array.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR, **white)
        # OpenCV places its samples on a grid of 1/32 pixel.
        case(f"rotate-{angle}-colour", "OpenCV", "rotate", {"angle": angle}, path, stored(expected, array), psnr(50))


def add_resize(inputs):
    """Lanczos is not one kernel but a family: edges and rounding differ a little between libraries."""
    like = psnr(48)
    for key, path, array in inputs:
        if array.dtype != np.uint8:
            continue
        image = Image.fromarray(array)
        width, height = image.size
        half = (max(1, width // 2), max(1, height // 2))
        params = {"width": half[0], "height": half[1], "fit": "fill"}
        smaller = image.resize(half, Image.LANCZOS)
        case(f"resize-fill-{key}", "Pillow", "resize", params, path, smaller, like, **visible(array))
    path, array = next((path, array) for key, path, array in inputs if key == "colour")
    image = Image.fromarray(array)
    cover = ImageOps.fit(image, (40, 40), Image.LANCZOS)
    case("resize-cover", "Pillow", "resize", {"width": 40, "height": 40}, path, cover, like)
    contain = ImageOps.pad(image, (60, 60), Image.LANCZOS, color=(255, 0, 0))
    params = {"width": 60, "height": 60, "fit": "contain", "background": "#ff0000"}
    case("resize-contain", "Pillow", "resize", params, path, contain, like)
    inside = image.resize((48, 32), Image.LANCZOS)
    params = {"width": 48, "height": 48, "fit": "inside"}
    case("resize-inside", "Pillow", "resize", params, path, inside, like)
    outside = image.resize((60, 40), Image.LANCZOS)
    params = {"width": 40, "height": 40, "fit": "outside"}
    case("resize-outside", "Pillow", "resize", params, path, outside, like)
    larger = image.resize((192, 128), Image.BICUBIC)
    params = {"width": 192, "enlarge": True}
    case("resize-enlarge", "Pillow", "resize", params, path, larger, psnr(40))


def add_watermark(inputs):
    mark = Image.new("RGBA", (24, 16), (0, 0, 0, 0))
    ImageDraw.Draw(mark).rectangle((2, 2, 21, 13), fill=(255, 200, 0, 160), outline=(0, 40, 90, 255))
    mark_path = write_png("inputs", "mark", np.asarray(mark))
    for key, path, array in inputs:
        if key not in ("colour", "colour-alpha"):
            continue
        for opacity, position, spot in ((1, "northwest", (5, 5)), (0.5, "southeast", (67, 43))):
            faded = mark.copy()
            faded.putalpha(mark.getchannel("A").point(lambda alpha: round(alpha * opacity)))
            image = Image.fromarray(array).convert("RGBA")
            image.alpha_composite(faded, spot)
            expected = np.asarray(image if has_alpha(array) else image.convert("RGB"))
            params = {"image": "mark", "position": position, "margin": 5, "opacity": opacity}
            name = f"watermark-{position}-{key}"
            inputs_by_name = {"mark": mark_path}
            case(name, "Pillow", "watermark", params, path, expected, max_diff(1), inputs=inputs_by_name)


# --- ways an image is stored ----------------------------------------------------------------------------------


def add_orientations(colour):
    """Eight files that all show the same upright picture."""
    stored_as = {
        1: lambda image: image,
        2: lambda image: image.transpose(Image.FLIP_LEFT_RIGHT),
        3: lambda image: image.transpose(Image.ROTATE_180),
        4: lambda image: image.transpose(Image.FLIP_TOP_BOTTOM),
        5: lambda image: image.transpose(Image.TRANSPOSE),
        6: lambda image: image.transpose(Image.ROTATE_90),
        7: lambda image: image.transpose(Image.TRANSVERSE),
        8: lambda image: image.transpose(Image.ROTATE_270),
    }
    upright = Image.fromarray(colour)
    for orientation, turn in stored_as.items():
        path = f"inputs/orientation-{orientation}.jpg"
        exif = Image.Exif()
        exif[0x0112] = orientation
        turn(upright).save(HERE / path, quality=95, subsampling=0, exif=exif)
        shown = ImageOps.exif_transpose(Image.open(HERE / path))
        assert shown.size == upright.size
        box = {"left": 10, "top": 5, "width": 50, "height": 30}
        expected = shown.crop((10, 5, 60, 35))
        case(f"orientation-{orientation}-crop", "Pillow", "crop", box, path, expected, max_diff(2))
        small = shown.resize((48, 32), Image.LANCZOS)
        case(f"orientation-{orientation}-resize", "Pillow", "resize", {"width": 48}, path, small, ssim(0.999))
        turned = shown.transpose(Image.ROTATE_270)
        case(f"orientation-{orientation}-rotate", "Pillow", "rotate", {"angle": 90}, path, turned, max_diff(2))


def add_profiles(colour):
    """Display P3 and CMYK, whose colours must come out as sRGB."""
    p3, inks = icc.display_p3(), icc.plain_cmyk()
    flip = {"direction": "horizontal"}
    for name, options in (("p3.png", {}), ("p3.jpg", {"quality": 95, "subsampling": 0})):
        path = f"inputs/{name}"
        Image.fromarray(colour).save(HERE / path, icc_profile=p3, **options)
        stored = np.asarray(Image.open(HERE / path)) / 255.0
        linear = icc.srgb_to_linear(stored) @ icc.P3_TO_XYZ.T @ np.linalg.inv(icc.SRGB_TO_XYZ).T
        expected = np.rint(icc.linear_to_srgb(linear) * 255).astype(np.uint8)[:, ::-1]
        case(name.replace(".", "-"), "numpy", "flip", flip, path, np.ascontiguousarray(expected), max_diff(2))
    black = (255 - colour).min(axis=2) // 2
    separated = np.dstack([255 - colour - black[..., None], black]).astype(np.uint8)
    Image.fromarray(separated, "CMYK").save(HERE / "inputs/cmyk.jpg", quality=95, icc_profile=inks)
    profiles = (ImageCms.ImageCmsProfile(io.BytesIO(inks)), ImageCms.createProfile("sRGB"))
    converted = ImageCms.profileToProfile(Image.open(HERE / "inputs/cmyk.jpg"), *profiles, outputMode="RGB")
    mirrored = ImageOps.mirror(converted)
    case("cmyk-jpg", "Pillow (Little CMS)", "flip", flip, "inputs/cmyk.jpg", mirrored, max_diff(2))


def add_containers(colour):
    """Animations are filtered by their first frame; a drawing as it is drawn."""
    first, second = Image.fromarray(colour), Image.fromarray(255 - colour)
    palette = first.quantize(64)
    palette.save(HERE / "inputs/animated.gif", save_all=True, append_images=[second.quantize(64)], duration=100)
    flip = {"direction": "vertical"}
    expected = ImageOps.flip(Image.open(HERE / "inputs/animated.gif").convert("RGB"))
    case("animated-gif", "Pillow", "flip", flip, "inputs/animated.gif", expected, EXACT, ignoreOpaqueAlpha=True)
    options = {"save_all": True, "append_images": [second], "duration": 100, "lossless": True}
    first.save(HERE / "inputs/animated.webp", **options)
    expected = ImageOps.flip(first)
    case("animated-webp", "Pillow", "flip", flip, "inputs/animated.webp", expected, EXACT, ignoreOpaqueAlpha=True)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40">'
        '<rect width="60" height="40" fill="#fff"/><rect x="10" y="5" width="30" height="20" fill="#c03010"/></svg>\n'
    )
    (HERE / "inputs/drawing.svg").write_text(svg)
    drawing = Image.new("RGB", (60, 40), "#ffffff")
    ImageDraw.Draw(drawing).rectangle((10, 5, 39, 24), fill="#c03010")
    expected = ImageOps.flip(drawing)
    case("drawing-svg", "Pillow", "flip", flip, "inputs/drawing.svg", expected, EXACT, ignoreOpaqueAlpha=True)


def main():
    for folder in ("inputs", "references"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
        (HERE / folder).mkdir()
    arrays = make_inputs()
    inputs = [(key, write_png("inputs", key, array), array) for key, array in arrays.items()]
    add_enhancers(inputs)
    add_grayscale(inputs)
    add_blur(inputs)
    add_unsharp_mask(inputs)
    add_edges(inputs)
    add_geometry(inputs)
    add_resize(inputs)
    add_watermark(inputs)
    add_orientations(arrays["colour"])
    add_profiles(arrays["colour"])
    add_containers(arrays["colour"])
    (HERE / "manifest.json").write_text("[\n" + ",\n".join(json.dumps(entry) for entry in cases) + "\n]\n")
    versions = {
        "python": platform.python_version(),
        "Pillow": PIL.__version__,
        "OpenCV": cv2.__version__,
        "scikit-image": skimage.__version__,
        "scipy": scipy.__version__,
        "numpy": np.__version__,
    }
    (HERE / "VERSIONS.json").write_text(json.dumps(versions, indent=2) + "\n")
    print(f"{len(cases)} cases")


main()
