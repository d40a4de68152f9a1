import { expect } from 'chai';
import { SCOPES } from '../../bus/apiKeys.js';
import { ERROR_CATALOGUE } from '../../bus/errors.js';
import { type ApiFixture, startApi } from './support/apiFixture.js';

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  parameters?: { name: string; in: string; schema: object; description?: string }[];
  security?: Record<string, string[]>[];
  responses: Record<string, { description: string; content?: object }>;
}

interface Description {
  openapi: string;
  info: { title: string; version: string };
  tags: { name: string }[];
  components: { securitySchemes: object };
  paths: Record<string, Record<string, Operation>>;
}

describe("the API's documentation", () => {
  let api: ApiFixture;
  let description: Description;
  before(async () => {
    api = await startApi();
    description = (await api.get('/openapi.json')).body as unknown as Description;
  });
  after(() => api.stop());

  const operations = (): [string, Operation][] =>
    Object.entries(description.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method} ${path}`, operation]),
    );

  it('describes every route in OpenAPI 3', () => {
    expect(description.openapi).to.match(/^3\.1\./);
    expect(description.info).to.include({ title: 'MPCSFaaS', version: '1.2.3' });
    expect(operations().map(([route]) => route)).to.have.members([
      'post /register_function',
      'post /execute_function',
      'get /status/{task_id}',
      'get /result/{task_id}',
      'post /tasks',
      'post /results',
      'post /groups',
      'get /groups/{group_id}',
      'post /groups/{group_id}/close',
      'post /groups/{group_id}/cancel',
      'get /groups/{group_id}/results',
      'post /groups/{group_id}/results',
      'get /tasks/{task_id}',
      'post /tasks/cancel',
      'post /tasks/{task_id}/cancel',
      'get /tasks/{task_id}/logs',
      'get /functions/{function_id}',
      'get /tasks',
      'get /functions',
      'post /tasks/{task_id}/run_again',
      'post /tasks/run_again',
      'get /workers',
      'get /dispatchers',
      'get /stats',
      'post /workers/{name}/drain',
      'post /dispatchers/{id}/drain',
      'post /keys',
      'get /keys',
      'post /keys/{key_id}/revoke',
      'get /health/live',
      'get /health/ready',
      'get /metrics',
      'get /',
    ]);
  });

  it('gives every operation an id of its own, words, a known tag, and its path parameters', () => {
    const ids = operations().map(([, { operationId }]) => operationId);
    expect(new Set(ids).size).to.equal(ids.length);
    const tags = description.tags.map(({ name }) => name);
    for (const [route, operation] of operations()) {
      expect(operation.summary, route).to.be.a('string');
      expect(tags, route).to.include.members(operation.tags);
      const inPath = [...route.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const described = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(
        described.map(({ name }) => name),
        route,
      ).to.have.members(inPath);
    }
  });

  it('describes every answer, and no status that the error catalogue does not have', () => {
    const statuses = new Set(['200', '204', ...Object.values(ERROR_CATALOGUE).map(({ status }) => String(status))]);
    for (const [route, { responses }] of operations()) {
      expect(responses, route).to.have.property('200');
      for (const [status, { description: words }] of Object.entries(responses)) {
        expect(statuses, route).to.include(status);
        expect(words, `${route} ${status}`).to.be.a('string').that.is.not.empty;
      }
    }
  });

  it('tells of every operation which scope its key must have, and how it is refused', () => {
    expect(description.components.securitySchemes).to.have.keys('bearer', 'header');
    const open: string[] = [];
    for (const [route, { security, responses }] of operations()) {
      if (security === undefined) {
        open.push(route);
        continue;
      }
      expect(
        security.map((one) => Object.values(one)[0]![0]),
        route,
      ).to.have.length(2);
      expect(SCOPES, route).to.include(security[0]!['bearer']![0]);
      expect(responses, route).to.include.keys('401', '403');
    }
    expect(open).to.have.members(['get /', 'get /health/live', 'get /health/ready']);
  });

  it('refers to nothing that is not in it', () => {
    const text = JSON.stringify(description);
    for (const [, reference] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const target = reference!
        .split('/')
        .reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], description);
      expect(target, reference).to.be.an('object');
    }
  });

  it('serves pages that need no other server', async () => {
    const page = await api.get('/docs');
    expect(page.status).to.equal(200);
    expect(page.headers['content-type']).to.contain('text/html');
    expect((await api.get('/docs/')).status).to.equal(200);
    const assets = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, asset]) => asset!);
    expect(assets).not.to.be.empty;
    for (const asset of assets) {
      const { pathname, host } = new URL(asset, 'http://here/docs');
      expect(host, asset).to.equal('here');
      expect((await api.get(pathname)).status, asset).to.equal(200);
    }
  });
});
