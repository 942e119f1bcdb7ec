import { createServer, type Socket } from 'node:net';

/** A server on raw sockets, so that a test can break off at any byte. */
export interface FaultServer {
  readonly port: number;
  readonly baseUrl: string;
  /** Complete requests (head and declared body) in order of arrival. */
  readonly requests: readonly ReceivedRequest[];
  /** All bytes of every connection, in order of arrival. */
  readonly connections: readonly { readonly bytes: string }[];
  close(): Promise<void>;
}

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Behaviour {
  /** Runs when a connection is accepted, before any byte. */
  readonly onConnect?: (socket: Socket) => void;
  /** Runs for each complete request. */
  readonly onRequest?: (request: ReceivedRequest, socket: Socket, index: number) => void;
}

/** The bytes of a plain HTTP/1.1 reply. */
export function replyBytes(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): string {
  const all = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} X\r\n${lines.join('')}\r\n${body}`;
}

/** Listens on a free port of 127.0.0.1. */
export async function startFaultServer(behaviour: Behaviour): Promise<FaultServer> {
  const requests: ReceivedRequest[] = [];
  const connections: { bytes: string }[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const connection = { bytes: '' };
    let unread = '';
    connections.push(connection);
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    behaviour.onConnect?.(socket);
    socket.on('data', (chunk) => {
      connection.bytes += chunk.toString('latin1');
      unread += chunk.toString('latin1');
      for (let taken = takeRequest(unread); taken !== null; taken = takeRequest(unread)) {
        unread = taken.rest;
        requests.push(taken.request);
        behaviour.onRequest?.(taken.request, socket, requests.length - 1);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the test server has no port');
  return {
    port: address.port,
    baseUrl: `http://127.0.0.1:${address.port}`,
    requests,
    connections,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function takeRequest(text: string): { request: ReceivedRequest; rest: string } | null {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const [method = '', path = ''] = first.split(' ');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const length = Number(headers['content-length'] ?? 0);
  const bodyEnd = end + 4 + length;
  if (text.length < bodyEnd) return null;
  const body = Buffer.from(text.slice(end + 4, bodyEnd), 'latin1').toString('utf8');
  return { request: { method, path, headers, body }, rest: text.slice(bodyEnd) };
}
