import { createConnection } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { milliseconds } from '../../../shared/core/time.ts';
import { isAllowedBaseUrl } from '../../../shared/providers/base-url.ts';
import {
  type Http,
  type HttpRequest,
  neverTooLate,
  oneConnection,
  openHttp,
} from '../../../shared/providers/http-client.ts';
import { type Behaviour, type FaultServer, replyBytes, startFaultServer } from './fault-server.ts';

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function serve(behaviour: Behaviour): Promise<FaultServer> {
  const server = await startFaultServer(behaviour);
  opened.push(server);
  return server;
}

function open(baseUrl: string, changed: Partial<Parameters<typeof openHttp>[0]> = {}): Http {
  const http = openHttp({
    baseUrl,
    connections: 4,
    waitingMax: 8,
    connectTimeoutMs: milliseconds(1_000),
    replyBytesMax: 1_048_576,
    ...changed,
  });
  opened.push(http);
  return http;
}

const order: HttpRequest = {
  method: 'POST',
  path: '/buy',
  headers: { 'content-type': 'application/json', 'x-own': 'yes' },
  body: '{"name":"é"}',
};
const deadlineMs = milliseconds(5_000);
const limits = { deadlineMs, tooLate: neverTooLate };
const short = { ...limits, deadlineMs: milliseconds(250) };

describe('a good exchange', () => {
  it('sends method, path, query, headers and body as given and returns the whole reply', async () => {
    const server = await serve({
      onRequest: (_, socket) => socket.end(replyBytes(201, '{"ok":"é"}', { 'X-Thing': 'A' })),
    });
    const http = open(`${server.baseUrl}/base/`);
    const result = await http.send({ ...order, query: { a: '1 2', b: '&' } }, limits);
    expect(result).toMatchObject({ kind: 'reply', status: 201, bodyText: '{"ok":"é"}' });
    expect(result.kind === 'reply' && result.headers['x-thing']).toBe('A');
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      path: '/base/buy?a=1+2&b=%26',
      body: order.body,
    });
    expect(server.requests[0]?.headers).toMatchObject({ 'x-own': 'yes', connection: 'close' });
  });

  it('uses a new connection for each request, so that a closed keep-alive socket is never met', async () => {
    const server = await serve({
      onRequest: (_, socket) => {
        socket.write(replyBytes(200, '{}', { connection: 'keep-alive' }));
        setImmediate(() => socket.destroy());
      },
    });
    const http = open(server.baseUrl);
    for (let i = 0; i < 3; i++) {
      expect(await http.send(order, limits)).toMatchObject({ kind: 'reply', status: 200 });
    }
    expect(server.requests).toHaveLength(3);
    expect(server.connections).toHaveLength(3);
  });

  it('returns a redirect as it is and does not follow it', async () => {
    const target = await serve({ onRequest: (_, socket) => socket.end(replyBytes(200, '{}')) });
    const server = await serve({
      onRequest: (_, socket) => socket.end(replyBytes(307, '', { location: `${target.baseUrl}/buy` })),
    });
    expect(await open(server.baseUrl).send(order, limits)).toMatchObject({
      kind: 'reply',
      status: 307,
    });
    expect(server.requests).toHaveLength(1);
    expect(target.connections).toHaveLength(0);
  });
});

describe('certainly not sent', () => {
  it('says so when the connection is refused', async () => {
    const server = await startFaultServer({});
    await server.close();
    const result = await open(server.baseUrl).send(order, limits);
    expect(result).toMatchObject({ kind: 'not-sent', code: 'ECONNREFUSED' });
  });

  it('says so when the host has no address', async () => {
    const result = await open('https://no-such-host.invalid').send(order, limits);
    expect(result.kind).toBe('not-sent');
  });

  it('says so when TLS never completes, since the peer saw a handshake and no request', async () => {
    const server = await serve({});
    const http = open(server.baseUrl.replace('http:', 'https:'), { connectTimeoutMs: milliseconds(300) });
    const result = await http.send(order, limits);
    expect(result).toMatchObject({ kind: 'not-sent', code: 'UND_ERR_CONNECT_TIMEOUT' });
    expect(server.connections[0]?.bytes).not.toContain('POST');
  });

  it('says so when the deadline passes during the TLS handshake, and sends nothing later', async () => {
    const server = await serve({});
    const http = open(server.baseUrl.replace('http:', 'https:'));
    expect(await http.send(order, short)).toMatchObject({ kind: 'not-sent', code: 'deadline' });
    expect(server.connections[0]?.bytes).not.toContain('POST');
  });

  it('says so when the peer speaks no TLS or drops the handshake', async () => {
    const plain = await serve({ onConnect: (socket) => socket.write('HTTP/1.1 400 X\r\n\r\n') });
    const dropping = await serve({ onConnect: (socket) => socket.resetAndDestroy() });
    for (const server of [plain, dropping]) {
      const result = await open(server.baseUrl.replace('http:', 'https:')).send(order, limits);
      expect(result.kind).toBe('not-sent');
    }
  });

  it('says so when too many requests wait already, and when the deadline passes while waiting', async () => {
    const server = await serve({});
    const http = open(server.baseUrl, { connections: 1, waitingMax: 1 });
    const [first, second, third] = await Promise.all([
      http.send(order, { ...limits, deadlineMs: milliseconds(400) }),
      http.send(order, { ...limits, deadlineMs: milliseconds(150) }),
      http.send(order, { ...limits, deadlineMs: milliseconds(150) }),
    ]);
    expect(first).toMatchObject({ kind: 'lost', code: 'deadline' });
    expect(second).toMatchObject({ kind: 'not-sent', code: 'deadline' });
    expect(third).toMatchObject({ kind: 'not-sent', code: 'queue-full' });
    expect(server.requests).toHaveLength(1);
  });

  it('says so after close, and close waits for what is in flight', async () => {
    const server = await serve({
      onRequest: (_, socket) => void setTimeout(() => socket.end(replyBytes(200, '{}')), 100),
    });
    const http = open(server.baseUrl, { connections: 1 });
    const running = http.send(order, limits);
    const waiting = http.send(order, limits);
    await http.close();
    expect(await running).toMatchObject({ kind: 'reply' });
    expect(await waiting).toMatchObject({ kind: 'not-sent', code: 'client-closed' });
    expect(await http.send(order, limits)).toMatchObject({ kind: 'not-sent', code: 'client-closed' });
    expect(server.requests).toHaveLength(1);
  });
});

describe('lost: the peer may have acted', () => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n';
  const faults: readonly [string, Behaviour, string | null][] = [
    ['a reset before the reply', { onRequest: (_, socket) => socket.resetAndDestroy() }, 'ECONNRESET'],
    ['an orderly close before the reply', { onRequest: (_, socket) => socket.end() }, 'UND_ERR_SOCKET'],
    ['no reply at all', {}, 'deadline'],
    ['half a head', { onRequest: (_, socket) => socket.end('HTTP/1.1 200 OK\r\ncont') }, null],
    ['half a body, then a close', { onRequest: (_, socket) => socket.end(`${head}{"code":"200"`) }, null],
    [
      'half a body, then silence',
      { onRequest: (_, socket) => void socket.write(`${head}{"code"`) },
      'deadline',
    ],
    [
      'half a chunked body',
      {
        onRequest: (_, socket) =>
          socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n'),
      },
      null,
    ],
    [
      'a body over the limit',
      { onRequest: (_, socket) => socket.end(replyBytes(200, 'x'.repeat(70_000))) },
      'reply-too-large',
    ],
    [
      'an endless body',
      {
        onRequest: (_, socket) => {
          socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
          const more = (): void => {
            if (!socket.destroyed) socket.write(`1000\r\n${'x'.repeat(4096)}\r\n`, () => setImmediate(more));
          };
          more();
        },
      },
      'reply-too-large',
    ],
    ['something that is not HTTP', { onRequest: (_, socket) => socket.end('SSH-2.0-x\r\n') }, null],
    [
      'a head over the limit',
      { onRequest: (_, socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(30_000)}\r\n\r\n`) },
      null,
    ],
  ];

  it.each(faults)('%s: one request arrived and none follows', async (_, behaviour, code) => {
    const server = await serve(behaviour);
    const http = open(server.baseUrl, { replyBytesMax: 65_536 });
    const result = await http.send(order, { ...limits, deadlineMs: milliseconds(600) });
    expect(result.kind).toBe('lost');
    if (code !== null) expect(result).toMatchObject({ code });
    await http.close();
    expect(server.requests).toHaveLength(1);
    expect(server.connections).toHaveLength(1);
  });

  it('a connection closed as soon as it stands is not opened a second time, even when it is unclear what left', async () => {
    const server = await serve({ onConnect: (socket) => socket.destroy() });
    const result = await open(server.baseUrl).send(order, limits);
    expect(result.kind).toBe('lost');
    expect(server.connections).toHaveLength(1);
  });
});

describe('one connection for one request', () => {
  const target = (server: FaultServer) => ({
    hostname: '127.0.0.1',
    protocol: 'http:',
    port: String(server.port),
  });
  const real = (server: FaultServer): Parameters<typeof oneConnection>[0] => {
    return (_, callback) => {
      const socket = createConnection(server.port, '127.0.0.1', () => callback(null, socket));
    };
  };
  const ask = (line: ReturnType<typeof oneConnection>, server: FaultServer) =>
    new Promise<string>((resolve) =>
      line.connect(target(server), (...[error, socket]) => {
        socket?.destroy();
        resolve(error === null ? 'connected' : error.message);
      }),
    );

  it('refuses a second connection, so that nothing can be written twice', async () => {
    const server = await serve({});
    const line = oneConnection(real(server), { signal: new AbortController().signal, tooLate: neverTooLate });
    expect(line.stood()).toBe(false);
    expect(await ask(line, server)).toBe('connected');
    expect(line.stood()).toBe(true);
    expect(await ask(line, server)).toBe('the peer closed the connection before a reply');
    expect(server.connections).toHaveLength(1);
  });

  it('hands over no connection that comes after the deadline', async () => {
    const server = await serve({});
    const line = oneConnection(real(server), { signal: AbortSignal.abort(), tooLate: neverTooLate });
    expect(await ask(line, server)).toBe('the deadline passed');
    expect(line.stood()).toBe(false);
  });

  it('sends nothing when the worker was held up until the connection stood', async () => {
    const server = await serve({});
    let asked = 0;
    const tooLate = () => {
      asked += 1;
      return true;
    };
    expect(await open(server.baseUrl).send(order, { ...limits, tooLate })).toMatchObject({
      kind: 'not-sent',
      code: 'too-late',
    });
    expect(asked).toBe(1);
    expect(server.connections.map(({ bytes }) => bytes).join('')).toBe('');
  });
});

describe('where requests may go', () => {
  it.each([
    ['https://oapi.example.com', true],
    ['https://oapi.example.com:8443/base', true],
    ['http://127.0.0.1:9000', true],
    ['http://localhost:9000', true],
    ['http://[::1]:9000', true],
    ['http://oapi.example.com', false],
    ['http://127.0.0.1.example.com', false],
    ['http://10.0.0.1', false],
    ['http://169.254.169.254/latest', false],
    ['https://user:pass@example.com', false],
    ['https://example.com/?a=1', false],
    ['https://example.com/#x', false],
    ['ftp://example.com', false],
    ['file:///etc/hosts', false],
    ['example.com', false],
    ['', false],
  ])('base URL %s: %s', (url, allowed) => {
    expect(isAllowedBaseUrl(url)).toBe(allowed);
    if (!allowed) expect(() => open(url)).toThrow(RangeError);
  });

  it.each(['//evil.example.com/', 'https://evil.example.com/', '/a b', '/a\r\nx: y', '/a?b=c', '/a\\b', ''])(
    'refuses the path %j before anything is sent',
    async (path) => {
      const server = await serve({});
      await expect(open(server.baseUrl).send({ ...order, path }, limits)).rejects.toThrow(TypeError);
      expect(server.connections).toHaveLength(0);
    },
  );
});
