import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ApiRequest } from './api-handler.ts';
import type { SimulatorClock } from './clock.ts';
import type { Exchange } from './faults.ts';

/** What the shell asks of the simulator. */
export interface ShellDeps {
  readonly clock: SimulatorClock;
  readonly bodyBytesMax: number;
  /** True when the connection must be reset before the body is read. */
  readonly resetsEarly: (head: ApiRequest) => boolean;
  readonly exchange: (request: ApiRequest) => Exchange;
  readonly tooLarge: (head: ApiRequest) => Exchange;
  /** Counts requests in flight: 1 at the start, -1 at the end. */
  readonly inFlight: (head: ApiRequest, change: 1 | -1) => void;
}

export interface HttpShell {
  /** Binds to loopback; the port that it got. */
  listen(port: number): Promise<number>;
  /** Ends every connection and stops listening. */
  close(): Promise<void>;
}

/** The HTTP server around `exchange`: reads requests, plays exchanges, decides nothing. */
export function createHttpShell(deps: ShellDeps): HttpShell {
  const timers = new Set<() => void>();
  let server: Server | null = null;
  return {
    listen: async (port) => {
      server = createServer((request, response) => {
        // A caller that goes away in mid-request is its own affair.
        serve(deps, timers, request, response).catch(() => request.socket.destroy());
      });
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error(`Unexpected address: ${address}`);
      return address.port;
    },
    close: async () => {
      for (const cancel of timers) cancel();
      timers.clear();
      const open = server;
      server = null;
      if (open === null) return;
      open.closeAllConnections();
      await new Promise<void>((resolve) => open.close(() => resolve()));
    },
  };
}

async function serve(
  deps: ShellDeps,
  timers: Set<() => void>,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const head = headOf(incoming);
  deps.inFlight(head, 1);
  response.once('close', () => deps.inFlight(head, -1));
  if (deps.resetsEarly(head)) {
    incoming.socket.resetAndDestroy();
    return;
  }
  const bodyText = await readBody(incoming, deps.bodyBytesMax);
  const exchange = bodyText === null ? deps.tooLarge(head) : deps.exchange({ ...head, bodyText });
  const later = (ms: number, run: () => void) => {
    const cancel = deps.clock.setTimer(ms, () => {
      timers.delete(cancel);
      run();
    });
    timers.add(cancel);
  };
  play(exchange, { incoming, response, later });
}

function headOf(incoming: IncomingMessage): ApiRequest {
  const url = new URL(incoming.url ?? '/', 'http://simulator.invalid');
  const query: Record<string, string> = {};
  for (const [name, value] of url.searchParams)
    query[name] = query[name] === undefined ? value : `${query[name]},${value}`;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers))
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  return { method: incoming.method ?? 'GET', path: url.pathname, query, headers, bodyText: '' };
}

/** The body as text; null when it is larger than allowed (the rest is not read). */
async function readBody(incoming: IncomingMessage, bytesMax: number): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    if (!Buffer.isBuffer(chunk))
      throw new Error('Request stream gave no bytes; it must have no encoding set.');
    size += chunk.byteLength;
    if (size > bytesMax) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

interface Wire {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly later: (ms: number, run: () => void) => void;
}

function play(exchange: Exchange, wire: Wire): void {
  switch (exchange.kind) {
    case 'hang':
      return;
    case 'drop':
    case 'unreachable':
      wire.incoming.socket.resetAndDestroy();
      return;
    case 'reply':
      if (exchange.delayMs > 0) wire.later(exchange.delayMs, () => send(exchange, wire));
      else send(exchange, wire);
  }
}

function send(exchange: Extract<Exchange, { kind: 'reply' }>, wire: Wire): void {
  const { reply, drip, cutAfterBytes } = exchange;
  const { response, incoming } = wire;
  const body = Buffer.from(reply.bodyText, 'utf8');
  response.writeHead(reply.status, { ...reply.headers, 'content-length': String(body.byteLength) });
  if (cutAfterBytes !== null) {
    // Ends the socket only after these bytes are out, so that the caller does get the first part.
    response.write(body.subarray(0, cutAfterBytes), () => incoming.socket.destroy());
    return;
  }
  if (drip === null) {
    response.end(body);
    return;
  }
  const next = (from: number): void => {
    if (response.destroyed) return;
    const to = from + drip.bytes;
    if (to >= body.byteLength) {
      response.end(body.subarray(from));
      return;
    }
    response.write(body.subarray(from, to));
    wire.later(drip.everyMs, () => next(to));
  };
  next(0);
}
