import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { gzipSync } from 'node:zlib';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';

export interface Asset {
  readonly bytes: Buffer;
  /** The same, compressed; absent where that saves nothing. */
  readonly gzip: Buffer | undefined;
  readonly type: string;
  readonly etag: string;
}

/** What the modules of the page import by name, and the file of the package that is sent for it. */
const PACKAGES = {
  preact: ['preact', 'dist/preact.mjs'],
  'preact/hooks': ['preact', 'hooks/dist/hooks.mjs'],
  'preact/jsx-runtime': ['preact', 'jsx-runtime/dist/jsxRuntime.mjs'],
  uplot: ['uplot', 'dist/uPlot.esm.js'],
} as const;
const PACKAGE_STYLES = { 'packages/uplot.css': ['uplot', 'dist/uPlot.min.css'] } as const;

const TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml; charset=utf-8',
};
const SOURCES = join(PACKAGE_ROOT, 'api', 'dashboard', 'page');
const COMPILED = join(PACKAGE_ROOT, 'dist', 'api', 'dashboard', 'page');

/**
 * All that the page is made of, read once: the compiled modules, the style sheets, and of the packages what the modules import. Every
 * address begins with a digest of the whole, so that browsers may keep what they have for ever, and a new version is another address.
 */
export class DashboardAssets {
  readonly page: Asset;
  /** Nothing but what this server sends may run, style, or be talked to. The import map is the one inline script, named by its digest. */
  readonly contentSecurityPolicy: string;
  private readonly assets: ReadonlyMap<string, Asset>;

  constructor() {
    const files = new Map<string, Buffer>([...compiledModules(), ...sourceFiles('css', 'svg'), ...packageFiles()]);
    const version = digest(
      Buffer.concat([...files].flatMap(([name, bytes]) => [Buffer.from(name), bytes])),
      'hex',
    ).slice(0, 12);
    this.assets = new Map([...files].map(([name, bytes]) => [`${version}/${name}`, asset(name, bytes)]));
    const base = `/dashboard/assets/${version}`;
    const importMap = JSON.stringify({
      imports: Object.fromEntries(Object.keys(PACKAGES).map((name) => [name, `${base}/${packageAddress(name)}`])),
    });
    const modules = [...files.keys()].filter((name) => /\.m?js$/.test(name));
    const html = readFileSync(join(SOURCES, 'index.html'), 'utf8')
      .replaceAll('{{base}}', base)
      .replace('{{importMap}}', `<script type="importmap">${importMap}</script>`)
      .replace(
        '{{preloads}}',
        modules.map((name) => `<link rel="modulepreload" href="${base}/${name}" />`).join('\n    '),
      );
    this.page = asset('index.html', Buffer.from(html));
    this.contentSecurityPolicy = [
      "default-src 'self'",
      `script-src 'self' 'sha256-${digest(Buffer.from(importMap), 'base64')}'`,
      "img-src 'self' data:",
      "object-src 'none'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; ');
  }

  /** @param path what follows `/dashboard/assets/` */
  find(path: string): Asset | undefined {
    return this.assets.get(path);
  }
}

function compiledModules(): [string, Buffer][] {
  return filesBelow(COMPILED)
    .filter((name) => name.endsWith('.js'))
    .map((name) => [name, withoutSourceMap(readFileSync(join(COMPILED, name)))]);
}

function sourceFiles(...extensions: string[]): [string, Buffer][] {
  return filesBelow(SOURCES)
    .filter((name) => extensions.some((extension) => name.endsWith(`.${extension}`)))
    .map((name) => [name, readFileSync(join(SOURCES, name))]);
}

function packageFiles(): [string, Buffer][] {
  const modules = Object.entries(PACKAGES).map(([name, place]) => [packageAddress(name), place] as const);
  return [...modules, ...Object.entries(PACKAGE_STYLES)].map(([name, [packageName, file]]) => [
    name,
    withoutSourceMap(readFileSync(join(packageFolder(packageName), file))),
  ]);
}

const packageAddress = (name: string): string => `packages/${name}.js`;

/** Wherever npm has put it. */
function packageFolder(name: string): string {
  return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
}

/** Maps are not served: a browser would ask in vain. */
function withoutSourceMap(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n'));
}

/** Sorted, so that the digest of all is that of their contents. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

function asset(name: string, bytes: Buffer): Asset {
  const extension = name.slice(name.lastIndexOf('.') + 1);
  const gzip = gzipSync(bytes, { level: 9 });
  return {
    bytes,
    gzip: gzip.length < bytes.length ? gzip : undefined,
    type: TYPES[extension] ?? 'application/octet-stream',
    etag: `"${digest(bytes, 'base64url').slice(0, 22)}"`,
  };
}

function digest(bytes: Buffer, encoding: 'hex' | 'base64' | 'base64url'): string {
  return createHash('sha256').update(bytes).digest(encoding);
}
