#!/usr/bin/env python3
"""A client of midjourney-proxy as its public examples show it: submit, poll, press buttons, download.

Knows nothing of the gateway but its address. Needs nothing beyond the standard library.
Usage: mj_proxy_client.py BASE_URL
"""

import json
import sys
import time
import urllib.request

DEADLINE = 60.0
INTERVAL = 0.2


def call(method, url, body=None):
    headers = {"Content-Type": "application/json", "mj-api-secret": "sk-test", "Authorization": "Bearer sk-test"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def submit(base, route, body):
    answer = call("POST", f"{base}/mj/submit/{route}", body)
    if answer["code"] not in (1, 21, 22):
        raise SystemExit(f"{route} was refused: {answer}")
    return answer["result"]


def wait(base, task_id):
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        task = call("GET", f"{base}/mj/task/{task_id}/fetch")
        if task["status"] == "SUCCESS":
            return task
        if task["status"] == "FAILURE":
            raise SystemExit(f"task {task_id} failed: {task['failReason']}")
        time.sleep(INTERVAL)
    raise SystemExit(f"task {task_id} is not over after {DEADLINE} s")


def press(base, task, label):
    button = next(button for button in task["buttons"] if button["label"] == label)
    body = {"taskId": task["id"], "customId": button["customId"], "chooseSameChannel": True}
    return wait(base, submit(base, "action", body))


def download(url):
    # As a browser does: the address is all it has.
    with urllib.request.urlopen(url, timeout=30) as answer:
        picture = answer.read()
    if not picture.startswith(b"\x89PNG"):
        raise SystemExit(f"no picture at {url}")
    return len(picture)


def main(base):
    grid = wait(base, submit(base, "imagine", {"prompt": "a red fox --ar 3:2", "state": "example", "botType": "mj"}))
    if grid["state"] != "example":
        raise SystemExit(f"state was lost: {grid}")
    upscaled = press(base, grid, "U1")
    varied = press(base, grid, "V1")
    for task in (grid, upscaled, varied):
        print(task["action"], task["progress"], download(task["imageUrl"]), "bytes")
    tasks = call("POST", f"{base}/mj/task/list-by-condition", {"ids": [grid["id"], upscaled["id"], "0"]})
    print(len(tasks), "tasks found")


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
