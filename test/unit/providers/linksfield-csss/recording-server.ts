import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyText: string;
}

/** What the server does with one request: a status with a body, or a fault. */
export type Answer =
  | { readonly status: number; readonly body: string; readonly headers?: Readonly<Record<string, string>> }
  | 'drop-connection'
  | 'half-a-reply';

/** A real HTTP server on this machine that records each request and answers as the test says; closed after it. */
export async function startServer(
  answer: (request: RecordedRequest, index: number) => Answer | Promise<Answer>,
) {
  const requests: RecordedRequest[] = [];
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const [path = '', query = ''] = (incoming.url ?? '').split('?');
      const headers = Object.fromEntries(
        Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
      );
      const request = {
        method: incoming.method ?? '',
        path,
        query,
        headers,
        bodyText: Buffer.concat(chunks).toString('utf8'),
      };
      requests.push(request);
      void Promise.resolve(answer(request, requests.length - 1)).then((its) => reply(outgoing, its));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  onTestFinished(close);
  return { requests, baseUrl: `http://127.0.0.1:${portOf(server.address())}`, close };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

function reply(outgoing: ServerResponse, answer: Answer): void {
  if (answer === 'drop-connection') {
    outgoing.destroy();
    return;
  }
  if (answer === 'half-a-reply') {
    outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
    outgoing.write('{"code":"0000"', () => outgoing.destroy());
    return;
  }
  outgoing.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
  outgoing.end(answer.body);
}
