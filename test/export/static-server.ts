/** A static web server like those that users start, on this machine, under a sub-path. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import type { TestContext } from 'node:test';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/** Serves a folder until the test ends. @returns the address of the folder, with a slash at the end */
export async function serveFolder(t: TestContext, folder: string, path = '/below/this/'): Promise<string> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://localhost');
    const name = normalize(decodeURIComponent(pathname.slice(path.length)));
    const found = pathname.startsWith(path) && !name.startsWith('..');
    readFile(join(folder, found ? name : '?', name.endsWith('/') ? 'index.html' : '')).then(
      (content) => {
        const type = types[extname(name.endsWith('/') ? '.html' : name)] ?? types['.html'];
        response.writeHead(200, { 'content-type': name.endsWith('/') ? types['.html'] : type }).end(content);
      },
      () => response.writeHead(404).end('not found'),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
}
