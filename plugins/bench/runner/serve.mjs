#!/usr/bin/env node
// Serves this folder to browsers: to this machine, or to all that reach it with --host 0.0.0.0.
//   node serve.mjs [--port N] [--host ADDRESS]
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { port: { type: 'string', default: '8080' }, host: { type: 'string', default: '127.0.0.1' } },
});

/** @type {Record<string, string>} */
const types = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

const headers = {
  // Threads and a fine clock are for pages that share nothing with other sites.
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  // Of the workers, too, for which the page cannot speak.
  'content-security-policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; style-src 'self'; connect-src 'self' blob:; img-src data:",
  'cache-control': 'no-cache',
};

const server = createServer(async (request, response) => {
  try {
    const { pathname } = new URL(request.url ?? '', 'http://localhost');
    const file = new URL(`.${pathname.endsWith('/') ? `${pathname}index.html` : pathname}`, import.meta.url);
    const { size, mtimeMs } = await stat(file);
    // Every opening loads the scripts and the runtime again.
    const etag = `"${size}-${mtimeMs}"`;
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304, { ...headers, etag }).end();
      return;
    }
    const type = types[extname(fileURLToPath(file))] ?? 'application/octet-stream';
    response.writeHead(200, { ...headers, 'content-type': type, 'content-length': size, etag });
    createReadStream(file).pipe(response);
  } catch {
    response.writeHead(404).end('not found');
  }
});
server.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
server.listen(Number(values.port), values.host, () => {
  const address = server.address();
  console.log(`Open http://localhost:${typeof address === 'object' ? address?.port : ''}/ (Ctrl-C ends this)`);
});
