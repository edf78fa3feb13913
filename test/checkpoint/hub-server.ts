/** A server that answers like the hub, for one model; everything it does wrong is switched on by a test. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface HubServer {
  readonly endpoint: string;
  readonly commit: string;
  /** Method and path of every request. */
  readonly requests: string[];
  /** Authorization headers that came. */
  readonly tokens: Set<string | undefined>;
  readonly files: Map<string, Buffer>;
  /** Replaces the answer to a request for a file's content. */
  sabotage: ((file: string, response: ServerResponse) => boolean) | undefined;
  /** Answers everything with this status. */
  status: number | undefined;
}

export async function hubServer(t: TestContext, model: string, files: ReadonlyMap<string, Buffer>): Promise<HubServer> {
  const state = {
    commit: 'c0ffee'.padEnd(40, '0'),
    requests: [] as string[],
    tokens: new Set<string | undefined>(),
    files: new Map(files),
    sabotage: undefined as HubServer['sabotage'],
    status: undefined as number | undefined,
  };
  const server = createServer((request, response) => {
    state.requests.push(`${request.method} ${request.url}`);
    state.tokens.add(request.headers.authorization);
    answer(model, state, request, response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(state, { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

function answer(
  model: string,
  server: Omit<HubServer, 'endpoint'>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const path = decodeURIComponent(new URL(request.url ?? '', 'http://hub').pathname);
  const json = (status: number, body: unknown) =>
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  if (server.status !== undefined) return void json(server.status, { error: 'Something is wrong' });
  const revisions = ['main', 'v1', server.commit];
  const info = revisions.find((revision) => path === `/api/models/${model}/revision/${revision}`);
  if (info !== undefined) return void json(200, { id: model, sha: server.commit });
  if (path === `/api/models/${model}/tree/${server.commit}`) return void json(200, [...server.files].map(treeEntry));
  const name = path.startsWith(`/${model}/resolve/`) ? path.split('/').slice(-1).join('') : '';
  const content = server.files.get(name);
  if (content === undefined) return void json(404, { error: 'Repository not found' });

  const etag = { ETag: `"${sha256(content)}"`, 'Accept-Ranges': 'bytes' };
  if (request.headers.range === 'bytes=0-0') {
    const headers = { ...etag, 'Content-Range': `bytes 0-0/${content.byteLength}`, 'Content-Length': 1 };
    response.writeHead(206, headers).end(content.subarray(0, 1));
  } else if (!server.sabotage?.(name, response)) {
    response.writeHead(200, { ...etag, 'Content-Length': content.byteLength }).end(content);
  }
}

/** safetensors are kept in LFS, with a SHA-256; other files are git blobs. */
function treeEntry([path, content]: [string, Buffer]): object {
  const oid = createHash('sha1').update(`blob ${content.byteLength}\0`).update(content).digest('hex');
  const lfs = { oid: sha256(content), size: content.byteLength, pointerSize: 134 };
  return { type: 'file', path, size: content.byteLength, oid, ...(path.endsWith('.safetensors') && { lfs }) };
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
