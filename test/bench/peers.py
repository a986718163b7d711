"""Milliseconds of CPU time that Pillow and OpenCV need for each filter on one core: photo.jpg in, JSON out.

For each filter alone, over decoded samples, and for the whole way from the JPEG's bytes to a JPEG's bytes.

Usage: peers.py PHOTO RUNS
"""

import io
import json
import sys
import time

import cv2
import numpy
from PIL import Image, ImageEnhance, ImageFilter

cv2.setNumThreads(1)
OVERLAY = Image.new("RGBA", (400, 300), (200, 30, 60, 128))


def peers(image):
    array = numpy.asarray(image)

    def watermark():
        result = image.convert("RGBA")
        result.alpha_composite(OVERLAY, (10, 10))
        return result.convert("RGB")

    def to_grey():
        return cv2.cvtColor(array, cv2.COLOR_RGB2GRAY)

    def sobel():
        grey = to_grey()
        x = cv2.Sobel(grey, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
        y = cv2.Sobel(grey, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
        return cv2.convertScaleAbs(cv2.magnitude(x, y))

    return {
        "resize": ("Pillow LANCZOS", lambda: image.resize((720, 536), Image.LANCZOS)),
        "blur 2": ("Pillow GaussianBlur", lambda: image.filter(ImageFilter.GaussianBlur(2))),
        "blur 5": ("Pillow GaussianBlur", lambda: image.filter(ImageFilter.GaussianBlur(5))),
        "blur 20": ("Pillow GaussianBlur", lambda: image.filter(ImageFilter.GaussianBlur(20))),
        "brightness": ("Pillow Brightness", lambda: ImageEnhance.Brightness(image).enhance(1.3)),
        "contrast": ("Pillow Contrast", lambda: ImageEnhance.Contrast(image).enhance(1.3)),
        "saturation": ("Pillow Color", lambda: ImageEnhance.Color(image).enhance(1.3)),
        "grayscale": ("Pillow L", lambda: image.convert("L")),
        "sharpen factor": ("Pillow Sharpness", lambda: ImageEnhance.Sharpness(image).enhance(1.5)),
        "sharpen mask": ("Pillow UnsharpMask", lambda: image.filter(ImageFilter.UnsharpMask(2, 150, 3))),
        "edges canny": ("OpenCV cvtColor + Canny", lambda: cv2.Canny(to_grey(), 100, 200)),
        "edges sobel": ("OpenCV cvtColor + Sobel x, y, magnitude", sobel),
        "edges laplacian": ("OpenCV cvtColor + Laplacian", lambda: cv2.convertScaleAbs(cv2.Laplacian(to_grey(), cv2.CV_32F, borderType=cv2.BORDER_REPLICATE))),
        "rotate 10": ("Pillow rotate, bicubic", lambda: image.rotate(-10, Image.BICUBIC, expand=True)),
        "flip": ("Pillow transpose", lambda: image.transpose(Image.FLIP_LEFT_RIGHT)),
        "watermark": ("Pillow alpha_composite", watermark),
    }


def open_photo(photo):
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    image.load()
    return image


def save(result):
    if isinstance(result, numpy.ndarray):
        cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, 80])
    else:
        result.save(io.BytesIO(), "JPEG", quality=80)


def median_ms(work, runs):
    times = []
    for run in range(runs + 1):
        start = time.process_time()
        work()
        if run > 0:
            times.append((time.process_time() - start) * 1000)
    return sorted(times)[len(times) // 2]


def main():
    runs = int(sys.argv[2])
    with open(sys.argv[1], "rb") as file:
        photo = file.read()
    figures = {}
    for name, (peer, work) in peers(open_photo(photo)).items():
        whole = lambda: save(peers(open_photo(photo))[name][1]())
        figures[name] = {"peer": peer, "alone": median_ms(work, runs), "whole": median_ms(whole, runs)}
    print(json.dumps({"figures": figures, "pillow": Image.__version__, "opencv": cv2.__version__}))


main()
