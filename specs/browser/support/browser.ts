import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { CHROMIUM, CHROMIUM_FLAGS } from './chromium.js';

/** A page is given so long to show something, on a machine that does much else besides. */
const PATIENCE_MS = 10_000;

export const SIZES = {
  desk: { width: 1280, height: 800 },
  phone: { width: 390, height: 844 },
} as const;
export type Size = keyof typeof SIZES;

export interface WindowOptions {
  /** Default desk. */
  readonly size?: Size;
  /** Default light. */
  readonly scheme?: 'light' | 'dark';
  /** Complaints that the spec provokes, such as of a request that is answered 404: no faults. */
  readonly expected?: readonly RegExp[];
}

/** A window of the browser with nothing remembered, which watches what its page does. */
export interface Window {
  readonly page: Page;
  /** Addresses of all that it asked for. */
  readonly requested: readonly string[];
  /** Closes it. @throws when its page asked another origin for something, complained in the console, or threw */
  close(): Promise<void>;
}

export interface SpecBrowser {
  /** Opens an address; all its page ever asks for must be of the same origin. */
  open(url: string, options?: WindowOptions): Promise<Window>;
  /** Closes what is left open, and removes what Chromium has written. Idempotent. */
  stop(): Promise<void>;
}

/** A headless Chromium with a profile of its own. */
export async function startBrowser(): Promise<SpecBrowser> {
  if (CHROMIUM === undefined) throw new Error('There is no Chromium on the PATH: `make setup-browser` installs one.');
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: [...CHROMIUM_FLAGS], headless: true });
  return {
    open: (url, options = {}) => openWindow(browser, url, options),
    stop: () => browser.close(),
  };
}

async function openWindow(browser: Browser, url: string, options: WindowOptions): Promise<Window> {
  const { size = 'desk', scheme = 'light', expected = [] } = options;
  const context = await browser.newContext({
    viewport: SIZES[size],
    colorScheme: scheme,
    hasTouch: size === 'phone',
    isMobile: size === 'phone',
    // What moves would be in another place each time.
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const watch = watchContext(context, new URL(url).origin);
  const page = await context.newPage();
  const close = async (): Promise<void> => {
    await context.close();
    const faults = watch.faults.filter((fault) => !expected.some((pattern) => pattern.test(fault)));
    if (faults.length > 0) throw new Error(`The page at ${url} is at fault:\n${faults.join('\n')}`);
  };
  try {
    await page.goto(url);
  } catch (error) {
    await context.close();
    throw error;
  }
  return { page, requested: watch.requested, close };
}

function watchContext(context: BrowserContext, origin: string): { requested: string[]; faults: string[] } {
  const requested: string[] = [];
  const faults: string[] = [];
  const ask = (address: string): void => {
    requested.push(address);
    const { protocol, origin: asked } = new URL(address);
    // Data is in the address itself.
    if (protocol !== 'data:' && asked !== origin) faults.push(`it asks another origin: ${address}`);
  };
  context.on('request', (request) => {
    ask(request.url());
  });
  context.on('page', (page) => {
    page.on('websocket', (socket) => {
      ask(socket.url());
    });
  });
  context.on('console', (message) => {
    if (message.type() === 'error') faults.push(`console: ${message.text()} (${message.location().url})`);
  });
  context.on('weberror', (error) => {
    faults.push(`error: ${String(error.error())}`);
  });
  return { requested, faults };
}
