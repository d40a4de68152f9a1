"""An asyncio program: pages "arrive" over time, and parsing them, which takes the processor, is done by an executor.

python async_crawl.py [--local]
"""

import asyncio
import collections
import html.parser
import random
import sys

if "--local" in sys.argv:
    from concurrent.futures import ProcessPoolExecutor
else:
    from mpcsfaas import Executor as ProcessPoolExecutor

PAGES = 40


def page(number):
    """A page of a small web, with words and links."""
    chance = random.Random(number)
    words = " ".join(chance.choice(["task", "worker", "queue", "lease", "slot", "fence"]) for _ in range(400))
    links = "".join(f'<a href="/{chance.randrange(PAGES)}">more</a>' for _ in range(5))
    return f"<html><body><p>{words}</p>{links}</body></html>"


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.words = collections.Counter()
        self.links = []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.append(int(dict(attrs)["href"].strip("/")))

    def handle_data(self, data):
        self.words.update(data.split())


def parse(text):
    reader = Reader()
    reader.feed(text)
    return reader.words, reader.links


async def crawl(executor, number, seen, words):
    """Fetch a page, have it parsed, follow its links."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.005)
    found, links = await loop.run_in_executor(executor, parse, page(number))
    words.update(found)
    fresh = [link for link in dict.fromkeys(links) if link not in seen]
    seen.update(fresh)
    await asyncio.gather(*(crawl(executor, link, seen, words) for link in fresh))


async def main():
    seen, words = {0}, collections.Counter()
    with ProcessPoolExecutor() as executor:
        await asyncio.wait_for(crawl(executor, 0, seen, words), timeout=60)
    print(f"{len(seen)} pages, {sum(words.values())} words")
    for word, count in sorted(words.items()):
        print(f"  {word}: {count}")


if __name__ == "__main__":
    asyncio.run(main())
