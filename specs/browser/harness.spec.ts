import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { type SpecBrowser, startBrowser } from './support/browser.js';
import { CHROMIUM } from './support/chromium.js';

/** The other specs in a browser trust it to find faults. */
describe('Windows of the specs', function () {
  this.timeout(60_000);
  let browser: SpecBrowser;
  let server: Server;
  let url: string;
  let body = '';

  before(async function () {
    // `make setup-browser` says why it cannot be had; `make test` has tried it.
    if (CHROMIUM === undefined) return this.skip();
    server = createServer((request, response) => {
      const found = request.url === '/' || request.url === '/data';
      response.writeHead(found ? 200 : 404, { 'content-type': 'text/html' }).end(found ? body : '');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    browser = await startBrowser();
  });
  after(async () => {
    if (CHROMIUM === undefined) return;
    await browser.stop();
    server.close();
    server.closeAllConnections();
  });

  const faultsOf = async (html: string, expected: RegExp[] = []): Promise<string> => {
    body = `<!doctype html><title>t</title><link rel="icon" href="data:,"><p>here</p>${html}`;
    const window = await browser.open(url, { expected });
    await window.page.getByText('here').waitFor();
    await window.page.waitForLoadState('networkidle');
    return window.close().then(
      () => '',
      (error: unknown) => (error as Error).message,
    );
  };

  it('find no fault with a page that keeps to its origin', async () => {
    expect(await faultsOf('<script>fetch("/data")</script>')).to.equal('');
  });

  it('notice a request to another origin', async () => {
    const port = Number(new URL(url).port);
    const other = `http://localhost:${port}/data`;
    expect(await faultsOf(`<img alt="" src="${other}">`)).to.contain(`another origin: ${other}`);
  });

  it('notice complaints in the console and errors that nobody catches', async () => {
    expect(await faultsOf('<script>console.error("oh no")</script>')).to.contain('oh no');
    expect(await faultsOf('<script>setTimeout(() => { throw new Error("dear me") })</script>')).to.contain('dear me');
    expect(await faultsOf('<script>Promise.reject(new Error("not caught"))</script>')).to.contain('not caught');
  });

  it('notice what is not there, unless it is expected', async () => {
    expect(await faultsOf('<img alt="" src="/nothing">')).to.contain('404');
    expect(await faultsOf('<img alt="" src="/nothing">', [/404/])).to.equal('');
  });
});
