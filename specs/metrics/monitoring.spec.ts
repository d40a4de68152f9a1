import { expect } from 'chai';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PythonClient } from '../support/python.js';
import { eventuallyPasses } from '../support/eventually.js';
import { sample, samples, scrape } from '../support/scrape.js';
import { TaskClient } from '../support/taskClient.js';

const folder = join(PACKAGE_ROOT, 'monitoring');
const read = (file: string): string => readFileSync(join(folder, file), 'utf8');

/** Where `make test` puts it, or Prometheus' package. */
function findPromtool(): string | undefined {
  const installed = join(PACKAGE_ROOT, '.platform', 'promtool');
  if (existsSync(installed)) return installed;
  return spawnSync('promtool', ['--version']).status === 0 ? 'promtool' : undefined;
}

interface Dashboard {
  panels: { title: string; targets?: { expr: string }[] }[];
}

describe('what watches the platform from outside', function () {
  this.timeout(60_000);
  let platform: SpecPlatform;
  let python: PythonClient;
  let text: string;

  before(async () => {
    platform = await startPlatform({ workers: 1 });
    python = new PythonClient();
    const client = new TaskClient(platform, python);
    const ids = await client.submit('def f(n):\n    return 1 / n', [[1], [0]]);
    await client.results(ids);
    await eventuallyPasses(async () => {
      text = await scrape(platform.apiUrl);
      expect(sample(text, 'mpcsfaas_tasks_ended_total')).to.equal(2);
    });
  });
  after(async () => {
    await python.stop();
    await platform.stop();
  });

  const dashboard = JSON.parse(read('grafana-dashboard.json')) as Dashboard;
  const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  const NAME = /\b(?:mpcsfaas|process|nodejs)_[a-z0-9_]+/g;

  for (const [source, words] of [
    ['the Grafana dashboard', queries.join('\n')],
    ['the alert rules', read('alerts.yml').replace(/^\s*(summary|description):.*$/gm, '')],
    [
      "the alert rules' tests",
      read('alerts.test.yml')
        .match(/series: .*/g)!
        .join('\n'),
    ],
  ] as const) {
    it(`exists in a scrape: every metric that ${source} names`, () => {
      const names = new Set(words.match(NAME));
      expect(names.size).to.be.greaterThan(8);
      const present = new Set(samples(text).map(({ name }) => name));
      for (const name of names) expect([...present], name).to.include(name);
    });
  }

  it('asks only for labels that the metrics have', () => {
    const labels = new Map<string, Set<string>>();
    for (const one of samples(text)) {
      const known = labels.get(one.name) ?? new Set();
      for (const label of Object.keys(one.labels)) known.add(label);
      labels.set(one.name, known);
    }
    let matchers = 0;
    for (const [, name = '', inner = ''] of `${queries.join('\n')}\n${read('alerts.yml')}`.matchAll(
      /\b((?:mpcsfaas|process|nodejs)_\w+)\{([^}]*)\}/g,
    )) {
      for (const [, label = ''] of inner.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) {
        matchers++;
        expect([...(labels.get(name) ?? [])], `${name}{${label}}`).to.include(label);
      }
    }
    expect(matchers).to.be.greaterThan(10);
  });

  it('has a title and a query on every panel, and no two panels in one place', () => {
    const places = (JSON.parse(read('grafana-dashboard.json')) as { panels: { gridPos: object }[] }).panels.map(
      ({ gridPos }) => JSON.stringify(gridPos),
    );
    expect(new Set(places).size).to.equal(places.length);
    for (const { title } of dashboard.panels) expect(title).to.match(/\w/);
    expect(queries.length).to.be.greaterThan(25);
  });

  describe('as promtool sees it', () => {
    const promtool = findPromtool();
    before(function () {
      if (promtool !== undefined) return;
      process.stderr.write(
        '    promtool is not here (`make setup-test` gets it where apt is): its checks are skipped\n',
      );
      this.skip();
    });
    const check = (args: string[], input?: string): void => {
      const { status, stdout, stderr } = spawnSync(promtool!, args, { cwd: folder, encoding: 'utf8', input });
      expect(`${status}`, `${stdout}${stderr}`).to.equal('0');
    };

    it('is a valid configuration', () => check(['check', 'config', 'prometheus.yml']));
    it('has valid alert rules', () => check(['check', 'rules', 'alerts.yml']));
    it('has alerts that fire when they should, and not otherwise', () => check(['test', 'rules', 'alerts.test.yml']));
    it('is a valid exposition, named by the conventions', () => {
      // Those of any Node.js process are prom-client's.
      const own = text
        .split('\n')
        .filter((line) => /^(# \w+ )?mpcsfaas_/.test(line))
        .join('\n');
      check(['check', 'metrics'], `${own}\n`);
    });
  });
});
