"""Publishes messages with more headers than 64 KiB: URL, queue, JSON list of bodies."""

import json
import sys

import pika

url, queue, bodies = sys.argv[1:]
headers = {
    "x-small": "kept",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    **{f"x-large-{size}": "x" * size * 1024 for size in (10, 20, 30, 50)},
}
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()
for body in json.loads(bodies):
    text = body if isinstance(body, str) else json.dumps(body)
    properties = pika.BasicProperties(content_type="application/json", headers=headers)
    channel.basic_publish("", queue, text.encode(), properties, mandatory=True)
connection.close()
