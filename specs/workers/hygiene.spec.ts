import { expect } from 'chai';
import { printedBytes } from '../../bus/outputRecord.js';
import { eventually, PoolFixture } from './support/poolFixture.js';
import { PythonClient } from './support/pythonClient.js';

const STATE = `def f():
    import gc, os, signal, sys, threading
    umask = os.umask(0o22)
    os.umask(umask)
    return (os.getcwd(), sorted(os.environ.items()), umask, sys.path, sys.getrecursionlimit(), gc.isenabled(),
            [str(signal.getsignal(s)) for s in signal.valid_signals()], signal.getitimer(signal.ITIMER_REAL)[0] > 0,
            str(sys.gettrace()), str(signal.pthread_sigmask(signal.SIG_BLOCK, [])))`;

describe('a Python process between tasks', () => {
  let client: PythonClient;
  let fixture: PoolFixture;

  before(async () => {
    client = new PythonClient();
    fixture = new PoolFixture(client, { slots: 1 });
    await fixture.pool.start();
  });
  after(async () => {
    await fixture.pool.stop(0);
    client.close();
  });

  const spoilings: Record<string, string> = {
    'the directory': 'os.chdir("/")',
    'the environment': 'os.environ["NEW"] = "1"; os.environ.pop("PATH")',
    'the environment wholesale': 'os.environ.clear()',
    'os.environ itself': 'os.environ = {}',
    'the umask': 'os.umask(0)',
    'sys.path': 'sys.path.insert(0, "/nowhere")',
    'sys.path itself': 'sys.path = []',
    'the recursion limit': 'sys.setrecursionlimit(5000)',
    'the collector': 'gc.disable()',
    'signal handlers': 'signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGALRM, lambda *a: 1 / 0)',
    'a rare signal handler, in a longer task': 'signal.signal(signal.SIGWINCH, lambda *a: 1 / 0); time.sleep(0.001)',
    'an alarm': 'signal.signal(signal.SIGALRM, lambda *a: 1 / 0); signal.setitimer(signal.ITIMER_REAL, 0.001)',
    'the trace function': 'sys.settrace(lambda *a: None)',
    'the signal mask, in a longer task':
      'signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); time.sleep(0.001)',
  };
  for (const [what, statement] of Object.entries(spoilings)) {
    it(`restores ${what}`, async () => {
      const before = await fixture.value(STATE);
      await fixture.call(`def f():\n    import gc, os, signal, sys, time\n    ${statement}`);
      expect(await fixture.value(STATE)).to.equal(before);
      expect(fixture.events.filter((event) => event.type === 'ended')).to.deep.equal([]);
    });
  }

  it('returns the value when an alarm strikes just at the end, or fails that task only', async () => {
    const source =
      'def f():\n    import signal, time\n    def struck(*a):\n        raise ValueError("struck")\n    signal.signal(signal.SIGALRM, struck)\n    signal.setitimer(signal.ITIMER_REAL, 0.0005)\n    end = time.perf_counter() + 0.000495\n    while time.perf_counter() < end:\n        pass';
    for (let i = 0; i < 100; i++) {
      const result = await fixture.call(source);
      if (result.outcome !== 'completed') expect(result.failure?.message).to.contain('struck');
    }
    expect(fixture.events.filter((event) => event.type === 'ended')).to.deep.equal([]);
  });

  it('is replaced when a thread or a child process was left behind, and the task is completed', async () => {
    const leftovers = [
      'import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()',
      'import subprocess; subprocess.Popen(["sleep", "60"])',
      'import os, time; os.fork() or time.sleep(60)',
      'import subprocess; subprocess.run(["sh", "-c", "setsid sleep 60 &"])',
    ];
    for (const [i, leftover] of leftovers.entries()) {
      const result = await fixture.call(`def f():\n    ${leftover}\n    return 7`);
      expect(result.outcome).to.equal('completed');
      await eventually(() => fixture.ended('recycled') === i + 1, 10_000);
      expect(await fixture.value('def f():\n    return 8')).to.equal('8');
    }
  });

  it('stays when threads and children have ended, or a daemon thread remains', async () => {
    const pid = await fixture.value('def f():\n    import os\n    return os.getpid()');
    await fixture.call(
      'def f():\n    import threading, time\n    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()',
    );
    await fixture.call(
      'def f():\n    import threading\n    t = threading.Thread(target=print, args=("x",))\n    t.start()\n    t.join()',
    );
    await fixture.call('def f():\n    import subprocess\n    return subprocess.run(["true"]).returncode');
    // Ended, and waited for by nobody.
    await fixture.call(
      'def f():\n    import os\n    child = os.fork() or os._exit(0)\n    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)',
    );
    expect(await fixture.value('def f():\n    import os\n    return os.getpid()')).to.equal(pid);
  });

  it('does not mind a function whose forked child returns as well', async () => {
    const result = await fixture.call(
      'def f():\n    import os, time\n    pid = os.fork()\n    if pid:\n        os.waitpid(pid, 0)\n    print("printed by", "parent" if pid else "child")\n    return pid > 0',
    );
    expect((await client.load(result.payload)).repr).to.equal('True');
    expect(printedBytes(result.output).toString()).to.contain('printed by parent').and.contain('printed by child');
  });

  it('runs multiprocessing and concurrent.futures inside functions', async () => {
    expect(
      await fixture.value(
        'def f():\n    import multiprocessing\n    with multiprocessing.get_context("fork").Pool(2) as pool:\n        return pool.map(abs, [-1, -2])',
      ),
    ).to.equal('[1, 2]');
    expect(
      await fixture.value(
        'def f():\n    from concurrent.futures import ThreadPoolExecutor\n    with ThreadPoolExecutor(2) as pool:\n        return list(pool.map(abs, [-1, -2]))',
      ),
    ).to.equal('[1, 2]');
  });
});
