/**
 * Copies the pinned browser libraries from node_modules into static/vendor, with their licences,
 * and writes static/vendor/hashes.json (SHA-256 of each file), which tests/test_vendored_assets.py checks.
 *
 *     npm ci && npm run vendor
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const vendorFolder = join(root, 'static', 'vendor');

const libraries = [
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

/** @param {Buffer | string} content */
const sha256 = (content) => createHash('sha256').update(content).digest('hex');

/** @type {Record<string, { version: string, files: Record<string, string> }>} */
const hashes = {};
await rm(vendorFolder, { recursive: true, force: true });
for (const { name, files, texts } of libraries) {
  const source = join(root, 'node_modules', name);
  const target = join(vendorFolder, name);
  await mkdir(target, { recursive: true });
  const { version } = JSON.parse(await readFile(join(source, 'package.json'), 'utf8'));
  hashes[name] = { version, files: {} };
  for (const file of files) {
    const fileName = file.split('/').at(-1) ?? file;
    await copyFile(join(source, file), join(target, fileName));
    hashes[name].files[fileName] = sha256(await readFile(join(target, fileName)));
  }
  for (const [fileName, text] of Object.entries(texts)) {
    await writeFile(join(target, fileName), text);
    hashes[name].files[fileName] = sha256(text);
  }
}
await writeFile(join(vendorFolder, 'hashes.json'), `${JSON.stringify(hashes, null, 2)}\n`);
