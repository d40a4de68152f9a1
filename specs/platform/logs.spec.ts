import { writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { MODES } from '../../bus/config.js';
import { eventually, eventuallyPasses } from '../support/eventually.js';
import { Gate } from '../support/gate.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

interface Line {
  at: string;
  stream: string;
  text: string;
  attempt?: number;
}
interface Log {
  status: string;
  attempt: number;
  lines: Line[];
  truncated: boolean;
}
interface End {
  end: true;
  status: string;
  attempt: number;
  truncated: boolean;
}
type Received = (Line | End) & { receivedAtMs: number };

/** A printed line must be with its reader so soon. */
const LIVE_MS = 200;
/** So many of 20 may be later, for the machine has other things to do too. */
const MAX_LATE = 5;

/** Prints the time, in ms, again and again, and is known to nobody as short or long. */
const TICKER = `
def f(count, pause):
    import time
    for i in range(count):
        print(i, time.time() * 1000)
        time.sleep(pause)
`;

/** Every line here has an end but where a spec says otherwise. */
const withoutEnd = (text: string): string => text.replace(/\n$/, '');

class Follower {
  readonly lines: Received[] = [];
  readonly ended: Promise<End>;
  private constructor(readonly response: IncomingMessage) {
    this.ended = new Promise((resolve, reject) => {
      let rest = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        // Empty lines are signs of life.
        for (const line of lines.filter((one) => one !== '')) {
          this.lines.push({ ...(JSON.parse(line) as Line | End), receivedAtMs: Date.now() });
        }
      });
      response.once('error', reject).once('end', () => resolve(this.lines.pop() as unknown as End));
    });
  }

  static async open(url: string, headers: Record<string, string> = {}): Promise<Follower> {
    return new Follower(await request(url, headers));
  }

  get texts(): string[] {
    return this.lines.map((line) => withoutEnd((line as Line).text));
  }
}

function request(url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false, headers }, resolve).once('error', reject);
  });
}

async function wholeText(url: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await request(url, headers);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

for (const mode of MODES) {
  describe(`What tasks print, in ${mode} mode`, function () {
    this.timeout(30_000);
    let platform: SpecPlatform;
    let python: PythonClient;
    let client: TaskClient;

    before(async () => {
      python = new PythonClient();
      platform = await startPlatform({ mode, workers: 1, slots: 2 });
      client = new TaskClient(platform, python);
      await client.result(await client.submitOne('def f():\n    return 1'));
    });
    after(async () => {
      await platform.stop();
      await python.stop();
    });

    const url = (id: string, query = ''): string => `${platform.apiUrl}/tasks/${id}/logs${query}`;
    const log = async (id: string): Promise<Log> => (await platform.call('GET', `/tasks/${id}/logs`)).body as Log;
    const follow = (id: string, headers?: Record<string, string>): Promise<Follower> =>
      Follower.open(url(id, '?follow=1'), headers);

    it('is read back exactly', async () => {
      const id = await client.submitOne(
        'def f():\n    import sys\n    for i in range(10):\n        print(f"line {i} ü", file=sys.stderr if i % 3 == 0 else sys.stdout)\n    print("no end", end="")',
      );
      await client.result(id);
      const { lines, ...rest } = await log(id);
      expect(rest).to.deep.equal({ task_id: id, status: 'COMPLETED', attempt: 1, truncated: false });
      expect(lines.map(({ stream, text }) => `${stream} ${text}`)).to.deep.equal([
        ...Array.from({ length: 10 }, (_, i) => `${i % 3 === 0 ? 'stderr' : 'stdout'} line ${i} ü\n`),
        'stdout no end',
      ]);
    });

    it(`is with its reader within ${LIVE_MS} ms, from the first line on though the task had not started`, async () => {
      // The quietest of three: a busy machine may stall for seconds. Told at the task's end, nearly all would be late.
      let late: number[] = [];
      for (let round = 0; round === 0 || (round < 3 && late.length > MAX_LATE); round++) late = await lateTicks();
      expect(late.length, late.join()).to.be.at.most(MAX_LATE);
    }).timeout(60_000);

    /** The delays of 20 lines that were too long, ms. */
    async function lateTicks(): Promise<number[]> {
      const blockers = await client.submit('def f(s):\n    import time\n    time.sleep(s)', [[0.6], [0.6]]);
      const id = await client.submitOne(TICKER, [20, 0.15]);
      const follower = await follow(id);
      const end = await follower.ended;
      expect(end).to.deep.include({ end: true, status: 'COMPLETED', attempt: 1, truncated: false });
      expect(follower.texts.map((text) => Number(text.split(' ')[0]))).to.deep.equal(
        Array.from({ length: 20 }, (_, n) => n),
      );
      const delays = follower.lines.map((line) => line.receivedAtMs - Number((line as Line).text.split(' ')[1]));
      expect((await log(id)).lines.map(({ text }) => withoutEnd(text))).to.deep.equal(follower.texts);
      await client.results(blockers);
      return delays.filter((ms) => ms >= LIVE_MS);
    }

    it('comes whole to one who joins in the middle, without a gap or a repetition', async () => {
      const id = await client.submitOne(TICKER, [2_000, 0.0003]);
      const readers: Promise<Follower>[] = [];
      for (let i = 0; i < 8; i++) {
        readers.push(follow(id));
        await sleep(60);
      }
      for (const reader of await Promise.all(readers)) {
        await reader.ended;
        expect(reader.texts.map((text) => Number(text.split(' ')[0]))).to.deep.equal([...Array(2_000).keys()]);
      }
    });

    it('is known so far while it runs, also what lies below Python', async () => {
      const gate = new Gate();
      const id = await client.submitOne(
        'def f(gate):\n    import os, time\n    print("early")\n    os.write(2, b"below\\n")\n' +
          '    while not os.path.exists(gate):\n        time.sleep(0.02)\n    print("late")',
        [gate.path],
      );
      await eventuallyPasses(async () => {
        const { status, lines } = await log(id);
        expect({ status, texts: lines.map(({ text }) => withoutEnd(text)) }).to.deep.equal({
          status: 'RUNNING',
          texts: ['early', 'below'],
        });
      });
      gate.open();
      await client.result(id);
      gate.remove();
      expect((await log(id)).lines.map(({ text }) => withoutEnd(text))).to.deep.equal(['early', 'below', 'late']);
    });

    it('never belongs to another task, however many run', async () => {
      const ids = await client.submit(
        'def f(n):\n    import os\n    print("task", n)\n    os.write(1, f"below {n}\\n".encode())',
        Array.from({ length: 300 }, (_, n) => [n]),
      );
      await client.results(ids);
      const logs = await Promise.all(ids.map(log));
      expect(logs.map(({ lines }) => lines.map(({ text }) => withoutEnd(text)))).to.deep.equal(
        ids.map((_, n) => [`task ${n}`, `below ${n}`]),
      );
    });
  });
}

describe('The log of a task', function () {
  this.timeout(30_000);
  let platform: SpecPlatform;
  let python: PythonClient;
  let client: TaskClient;

  before(async () => {
    python = new PythonClient();
    platform = await startPlatform({ workers: 1, slots: 2, env: { MAX_OUTPUT_BYTES: '3000000' } });
    client = new TaskClient(platform, python);
  });
  after(async () => {
    await platform.stop();
    await python.stop();
  });

  const url = (id: string, query = ''): string => `${platform.apiUrl}/tasks/${id}/logs${query}`;
  const log = async (id: string): Promise<Log> => (await platform.call('GET', `/tasks/${id}/logs`)).body as Log;

  it('is flagged where it was cut, live and after', async () => {
    const id = await client.submitOne('def f():\n    for i in range(7000):\n        print("x" * 500, i)');
    const follower = await Follower.open(url(id, '?follow=1'));
    expect((await follower.ended).truncated).to.equal(true);
    const { lines, truncated } = await log(id);
    expect(truncated).to.equal(true);
    expect(lines.map(({ text }) => withoutEnd(text))).to.deep.equal(follower.texts);
    expect(lines.length).to.be.within(5_500, 6_000);
    expect(((await platform.call('GET', `/tasks/${id}`)).body as Record<string, unknown>).output_truncated).to.equal(
      true,
    );
  });

  it('comes whole to one who reads slower than the task prints, and costs the API no memory meanwhile', async () => {
    const id = await client.submitOne(
      'def f():\n    for i in range(20000):\n        print("y" * 100, i)\n    return "done"',
    );
    const response = await request(url(id, '?follow=1&format=text'));
    response.pause();
    expect((await client.result(id)).repr).to.equal("'done'");
    await sleep(300);
    let text = '';
    response.setEncoding('utf8');
    for await (const chunk of response) text += chunk as string;
    const expected = Array.from({ length: 20_000 }, (_, i) => `${'y'.repeat(100)} ${i}\n`).join('');
    expect(text === expected, `${text.length} of ${expected.length} characters`).to.equal(true);
  });

  it('is that of the last attempt, and says so; a reader is told where one began anew', async () => {
    const journal = `${platform.redis.directory}/attempts`;
    const id = await client.submitOne(
      'def f(journal):\n    import os, time\n    with open(journal, "a+") as file:\n        file.write("x")\n        file.flush()\n        starts = os.path.getsize(journal)\n' +
        '    print("attempt", starts)\n    while not os.path.exists(f"{journal}.{starts}"):\n        time.sleep(0.02)\n' +
        '    if starts < 3:\n        os._exit(1)\n    return starts',
      [journal],
    );
    const follower = await Follower.open(url(id, '?follow=1'));
    for (const attempt of [1, 2, 3]) {
      await eventually(`attempt ${attempt} is read`, () => follower.lines.length === attempt);
      writeFileSync(`${journal}.${attempt}`, '');
    }
    expect(await follower.ended).to.deep.include({ status: 'COMPLETED', attempt: 3 });
    expect(follower.lines.map((line) => [(line as Line).attempt, (line as Line).text])).to.deep.equal([
      [1, 'attempt 1\n'],
      [2, 'attempt 2\n'],
      [3, 'attempt 3\n'],
    ]);
    const { attempt, lines } = await log(id);
    expect({ attempt, texts: lines.map(({ text }) => withoutEnd(text)) }).to.deep.equal({
      attempt: 3,
      texts: ['attempt 3'],
    });
  });

  it('is kept of a task that was cancelled while it ran, and ends for its reader', async () => {
    const id = await client.submitOne(
      'def f():\n    import os\n    print("working")\n    os.write(1, b"below")\n    while True:\n        pass',
    );
    const follower = await Follower.open(url(id, '?follow=1'));
    await eventually('it has printed', async () => (await log(id)).lines.length === 2);
    await eventually('its follower reads that', () => follower.texts.includes('working'));
    await client.cancel(id);
    expect(await follower.ended).to.deep.include({ status: 'CANCELLED' });
    expect(follower.texts).to.deep.equal(['working', 'below']);
    await eventually('it is stored', async () => (await log(id)).lines.length === 2);
    expect((await log(id)).lines.map(({ text }) => withoutEnd(text))).to.deep.equal(['working', 'below']);
  });

  it('may be read as text and as server-sent events', async () => {
    const id = await client.submitOne('def f():\n    import sys\n    print("a")\n    print("b", file=sys.stderr)');
    expect(await wholeText(url(id, '?follow=1'), { accept: 'text/plain' })).to.equal('a\nb\n');
    expect(await wholeText(url(id), { accept: 'text/plain' })).to.equal('a\nb\n');
    const events = (await wholeText(url(id, '?follow=1'), { accept: 'text/event-stream' })).split('\n\n');
    expect(events.map((event) => event.replace(/"at":"[^"]*",/, ''))).to.deep.equal([
      'data: {"stream":"stdout","text":"a\\n","attempt":1}',
      'data: {"stream":"stderr","text":"b\\n","attempt":1}',
      'data: {"end":true,"reason":"complete","status":"COMPLETED","attempt":1,"truncated":false}',
      '',
    ]);
  });

  it('is read from the store when NATS is away', async () => {
    const id = await client.submitOne('def f():\n    import time\n    print("quiet")\n    time.sleep(0.7)');
    await platform.nats.stop();
    const follower = await Follower.open(url(id, '?follow=1'));
    expect(await follower.ended).to.deep.include({ status: 'COMPLETED' });
    expect(follower.texts).to.deep.equal(['quiet']);
  });
});
