"""The official Python SDK (package `mcp`, 2.x) against the real program, over standard streams.

    python python_sdk.py PROGRAM DATA_DIR

Runs the whole way in both eras of the protocol: with the `initialize` handshake and without.
"""

import asyncio
import base64
import hashlib
import pathlib
import struct
import sys

from mcp import Client, StdioServerParameters


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG or JPEG."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return struct.unpack(">II", data[16:24])
    assert data.startswith(b"\xff\xd8"), data[:8]
    at = 2
    while True:
        marker, length = struct.unpack(">HH", data[at : at + 4])
        if 0xFFC0 <= marker <= 0xFFC2:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length


TOOLS = "imagine vary upscale edit blend describe animate wait get_job show list_jobs cancel account".split()


async def good(client: Client, tool: str, arguments: dict, **more):
    result = await client.call_tool(tool, arguments, **more)
    assert not result.is_error, result
    return result


async def follow_up(client: Client, mode: str, found: dict) -> None:
    """Calls that the finished job offers, and the other tools with pictures in each form."""
    offered = {call["tool"]: call["arguments"] for call in found["actions"]}
    assert offered.keys() == {"show", "upscale", "vary", "edit"}, offered
    del offered["edit"]
    image, path = found["images"][1]["uri"], found["images"][1]["path"]
    inline = "data:image/png;base64," + base64.b64encode(pathlib.Path(path).read_bytes()).decode()
    calls = [
        *offered.items(),
        ("edit", {"mode": "inpaint", "image": image, "mask": inline, "prompt": "a hat"}),
        ("blend", {"images": [image, path, inline], "shape": "landscape"}),
    ]
    for result in await asyncio.gather(*(good(client, tool, arguments) for tool, arguments in calls)):
        assert result.structured_content.get("status", "completed") == "completed", result
        assert sum(block.type == "image" for block in result.content) == 1, result
    for arguments in ({"image": path}, {"prompt": "a very, very red fox in deep snow"}):
        texts = (await good(client, "describe", arguments)).structured_content["texts"]
        assert texts and all(texts), texts
    seed = (await good(client, "get_job", {"job_id": found["job_id"], "seed": True})).structured_content["seed"]
    assert seed == found["seed"]
    accounts = (await good(client, "account", {})).structured_content["accounts"]
    assert accounts[0]["upstream"] == "simulator" and accounts[0]["condition"] == "ok", accounts
    film = await client.call_tool("animate", {"image": image})
    assert film.is_error and film.structured_content["spent"] == "no", film
    print(f"[{mode}] {len(calls)} calls went on from pictures")


async def run(program: str, data: str, mode: str) -> None:
    server = StdioServerParameters(command=program, args=["--data-dir", data])
    async with Client(server, mode=mode) as client:
        print(f"[{mode}] protocol {client.protocol_version}")
        assert "SIMULATED" in client.instructions, client.instructions
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == TOOLS, tools
        templates = (await client.list_resource_templates()).resource_templates
        assert templates[0].uri_template == "mj://jobs/{job_id}/images/{index}", templates

        told = []

        async def progress(value: float, total: float | None, message: str | None) -> None:
            told.append((value, total, message))

        wish = {"prompt": "a red fox in the snow --ar 3:2 --v 7"}
        result = await good(client, "imagine", wish, progress_callback=progress)
        found = result.structured_content
        assert found["status"] == "completed" and found["simulated"], found
        assert told and all(a[0] < b[0] for a, b in zip(told, told[1:])), told
        sheets = [block for block in result.content if block.type == "image"]
        assert len(sheets) == 1
        width, height = picture_size(base64.b64decode(sheets[0].data))
        assert max(width, height) <= 768 and width > height, (width, height)
        links = [block for block in result.content if block.type == "resource_link"]
        assert len(links) == len(found["images"]) == 5, links
        for link, image in zip(links, found["images"]):
            contents = (await client.read_resource(str(link.uri))).contents[0]
            blob = base64.b64decode(contents.blob)
            assert picture_size(blob)[0] > picture_size(blob)[1]
            on_disk = pathlib.Path(image["path"]).read_bytes()
            if contents.mime_type == image["media_type"]:
                assert hashlib.sha256(blob).digest() == hashlib.sha256(on_disk).digest()
        print(f"[{mode}] {len(told)} progress messages, sheet {width}x{height}, {len(links)} pictures read")

        shown = await good(client, "show", {"job_id": found["job_id"], "index": 2, "size": 512})
        picture = next(block for block in shown.content if block.type == "image")
        assert max(picture_size(base64.b64decode(picture.data))) == 512

        await follow_up(client, mode, found)

        slow = (await good(client, "imagine", {"prompt": "a fox sim:hang", "wait_seconds": 1})).structured_content
        assert slow["status"] == "running" and slow["next"]["tool"] == "wait", slow
        still = await good(client, "wait", slow["next"]["arguments"] | {"wait_seconds": 1})
        assert still.structured_content["status"] == "running", still
        await good(client, "cancel", {"job_id": slow["job_id"]})
        over = (await good(client, "wait", {"job_id": slow["job_id"]})).structured_content
        assert over["status"] == "cancelled", over

        jobs = (await good(client, "list_jobs", {"limit": 2})).structured_content["jobs"]
        assert jobs[0]["job_id"] == slow["job_id"] and len(jobs) == 2, jobs
        looked = (await good(client, "get_job", {"job_id": found["job_id"]})).structured_content
        assert looked["status"] == "completed", looked

        wrong = await client.call_tool("imagine", {"prompt": "a fox --arr 3:2"})
        assert wrong.is_error and wrong.structured_content["code"] == "invalid_prompt", wrong
        assert wrong.structured_content["next"]["arguments"]["prompt"] == "a fox --ar 3:2", wrong
        bad = await client.call_tool("wait", {"job_id": "nonsense"})
        assert bad.is_error and "32 hex digits" in bad.content[0].text, bad

        # Giving up in the middle ends the wait, not the job.
        wish = {"prompt": "a fox that nobody waits for", "idempotency_key": f"left-{mode}"}
        try:
            await client.call_tool("imagine", wish, read_timeout_seconds=0.5)
        except Exception as error:  # the SDK's own time-out
            print(f"[{mode}] gave up: {type(error).__name__}")
        again = (await good(client, "imagine", wish)).structured_content
        assert again["status"] == "completed" and again["replayed"], again


async def main() -> None:
    program, data = sys.argv[1:]
    for mode in ("legacy", "auto"):
        await run(program, data, mode)
    print("everything was as it should be")


asyncio.run(main())
