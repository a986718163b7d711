"""Celery + Pillow: the worker's task and, run as a program, a client that has a photo made small again and again.

Usage: REDIS_URL=… python3 -m celery_photos PHOTO FOLDER; a line of input is a count, a line of output its milliseconds.
"""

import json
import os
import sys
import time
import uuid

import celery
import PIL
from PIL import Image, ImageOps

WIDTH = 720

app = celery.Celery("celery_photos", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
# A task is acknowledged once its result is safe, and given again when its worker dies; nobody hoards tasks.
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1)


@app.task(name="make_small")
def make_small(source, target):
    with Image.open(source) as image:
        # Decodes at a smaller scale already, as libvips does.
        image.thumbnail((WIDTH, WIDTH), Image.LANCZOS)
        small = ImageOps.exif_transpose(image)
        temporary = f"{target}.{uuid.uuid4()}"
        with open(temporary, "xb") as file:
            small.save(file, "JPEG", quality=80)
            file.flush()
            os.fsync(file.fileno())
    os.rename(temporary, target)
    folder = os.open(os.path.dirname(target), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def main(photo, folder):
    print(f"Celery {celery.__version__}, Pillow {PIL.__version__}", flush=True)
    for turn, line in enumerate(sys.stdin):
        start = time.perf_counter()
        tasks = celery.group(make_small.s(photo, f"{folder}/celery-{turn}-{index}.jpg") for index in range(int(line)))
        tasks.apply_async().get()
        print(json.dumps({"ms": (time.perf_counter() - start) * 1000}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
