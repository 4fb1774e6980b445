/**
 * Copies the pinned browser libraries from node_modules into static/vendor, and what only the tests load
 * into tests/vendor, with their licences; writes a hashes.json into both (SHA-256 of each file), which
 * tests/test_vendored_assets.py checks.
 *
 *     npm ci && npm run vendor
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** @typedef {{ name: string, files: string[], texts: Record<string, string> }} Library */

/** @type {Library[]} */
const ofThePages = [
  {
    name: 'lightweight-charts',
    files: ['dist/lightweight-charts.standalone.production.mjs', 'LICENSE'],
    // The library's npm package leaves its notice out; the licence asks us to hand it on.
    texts: {
      NOTICE:
        'TradingView Lightweight Charts™\n' +
        'Copyright (c) 2026 TradingView, Inc. https://www.tradingview.com/\n',
      // Lets the type check find the package's types next to the file that the browser loads.
      'lightweight-charts.standalone.production.d.mts': "export * from 'lightweight-charts';\n",
    },
  },
  { name: 'chart.js', files: ['dist/chart.umd.min.js', 'LICENSE.md'], texts: {} },
];

/** @type {Library[]} */
const ofTheTests = [
  { name: 'axe-core', files: ['axe.min.js', 'LICENSE', 'LICENSE-3RD-PARTY.txt'], texts: {} },
];

/** @param {Buffer | string} content */
const sha256 = (content) => createHash('sha256').update(content).digest('hex');

await vendor(join(root, 'static', 'vendor'), ofThePages);
await vendor(join(root, 'tests', 'vendor'), ofTheTests);

/** @param {string} folder @param {Library[]} libraries */
async function vendor(folder, libraries) {
  /** @type {Record<string, { version: string, files: Record<string, string> }>} */
  const hashes = {};
  await rm(folder, { recursive: true, force: true });
  for (const library of libraries) hashes[library.name] = await copyLibrary(folder, library);
  await writeFile(join(folder, 'hashes.json'), `${JSON.stringify(hashes, null, 2)}\n`);
}

/** @param {string} folder @param {Library} library */
async function copyLibrary(folder, { name, files, texts }) {
  const source = join(root, 'node_modules', name);
  const target = join(folder, name);
  await mkdir(target, { recursive: true });
  const { version } = JSON.parse(await readFile(join(source, 'package.json'), 'utf8'));
  /** @type {Record<string, string>} */
  const hashes = {};
  for (const file of files) {
    const fileName = file.split('/').at(-1) ?? file;
    await copyFile(join(source, file), join(target, fileName));
    hashes[fileName] = sha256(await readFile(join(target, fileName)));
  }
  for (const [fileName, text] of Object.entries(texts)) {
    await writeFile(join(target, fileName), text);
    hashes[fileName] = sha256(text);
  }
  return { version, files: hashes };
}
