import { buildConnector, Client, type Dispatcher } from 'undici';
import type { DurationMs } from '../core/time.ts';
import { isAllowedBaseUrl } from './base-url.ts';

/**
 * One HTTP layer under every provider client.
 *
 * Each request gets a connection of its own, which is closed after the reply. That costs a TLS handshake
 * (providers allow about 10 requests a second, so it doesn't matter) and buys three things:
 * - no request meets a keep-alive socket that the peer has just closed, or that a frozen Lambda left behind;
 * - nothing can be sent twice, since a second connection for the same request is refused;
 * - "not sent" is an observation and not a guess from an error code: as long as the connector has not handed
 *   over a connected (for https: authenticated) socket, no byte of the request can have left.
 * Source: undici 8 connects first and writes the request only after the connector's callback
 * (lib/dispatcher/client.js, `connect` and `_resume`); it sends a request that it has not failed yet again on
 * the next connection (`onError`, `onHttpSocketClose`), which is why the connector here serves only once.
 *
 * There are no redirects, no retries, no proxies from the environment: a bare Client has none of them.
 */
export interface Http {
  /** Sends at most one request over at most one connection. Throws only for a malformed `path`. */
  send(request: HttpRequest, limits: SendLimits): Promise<HttpResult>;
  /** Refuses further requests, and waits for those in flight (each ends at its deadline at the latest). */
  close(): Promise<void>;
}

export interface SendLimits {
  /** Over the whole call, from waiting for a connection to the reply's last byte. */
  readonly deadlineMs: DurationMs;
  /**
   * Asked when the connection stands, in the same turn in which the request would be written: true sends nothing, so
   * that a worker that was frozen after its last check can't send what others have given up by now.
   */
  readonly tooLate: () => boolean;
}

export interface HttpOptions {
  /** From the stage only: https, or http for a loopback host. A path in it is put before every request path. */
  readonly baseUrl: string;
  /** Requests in flight at once; more wait. */
  readonly connections: number;
  /** Requests that may wait for a connection; one more is `not-sent` with the code `queue-full`. */
  readonly waitingMax: number;
  /** DNS, TCP and TLS together. */
  readonly connectTimeoutMs: DurationMs;
  /** Bytes of a reply's body; a longer one is cut off and `lost` with the code `reply-too-large`. */
  readonly replyBytesMax: number;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Starts with one `/`; goes to the host of `baseUrl` whatever it says. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export type HttpResult =
  /** A complete reply of any status. Header names are lower case; repeated headers are joined with `, `. */
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly bodyText: string;
    }
  /** Certain: no byte of the request reached the peer. */
  | { readonly kind: 'not-sent'; readonly code: string; readonly message: string }
  /** A connection stood, and no complete reply came: the peer may have acted. */
  | { readonly kind: 'lost'; readonly code: string; readonly message: string };

/** One mebibyte: every documented reply is far smaller. */
export const replyBytesMaxDefault = 1_048_576;

/** For requests that cost nothing: they may come late. */
export const neverTooLate = (): boolean => false;

/** Opens the way out to one base URL. */
export type OpenHttp = (options: HttpOptions) => Http;

/** Throws a RangeError when `baseUrl` is not allowed, since the stage schema should have refused it. */
export function openHttp(options: HttpOptions): Http {
  if (!isAllowedBaseUrl(options.baseUrl)) {
    throw new RangeError(
      `a provider's base URL must be https, or http to a loopback host, but was ${URL.parse(options.baseUrl)?.origin ?? 'no URL'}: correct the stage file`,
    );
  }
  const base = new URL(options.baseUrl);
  const slots = openSlots(options.connections, options.waitingMax);
  const connect = buildConnector({
    timeout: options.connectTimeoutMs,
    allowH2: false,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 1_000,
  });
  return {
    send: async (request, { deadlineMs, tooLate }) => {
      const target = { origin: base.origin, path: fullPath(base, request) };
      const deadline = startDeadline(deadlineMs);
      try {
        const refused = await slots.take(deadline.signal);
        if (refused !== null) return notSent(refused, slotTexts[refused]);
        try {
          return await sendOnce(
            { ...options, ...target, connect, deadlineMs, tooLate, signal: deadline.signal },
            request,
          );
        } finally {
          slots.giveBack();
        }
      } finally {
        deadline.clear();
      }
    },
    close: () => slots.close(),
  };
}

interface Call extends HttpOptions, SendLimits {
  readonly origin: string;
  readonly path: string;
  readonly connect: buildConnector.connector;
  readonly signal: AbortSignal;
}

async function sendOnce(call: Call, request: HttpRequest): Promise<HttpResult> {
  const line = oneConnection(call.connect, call);
  const client = new Client(call.origin, {
    connect: line.connect,
    pipelining: 1,
    headersTimeout: call.deadlineMs,
    bodyTimeout: call.deadlineMs,
    maxHeaderSize: 16_384,
    maxResponseSize: call.replyBytesMax,
    strictContentLength: true,
  });
  try {
    const reply = await client.request({
      path: call.path,
      method: request.method,
      headers: { ...request.headers, 'accept-encoding': 'identity' },
      body: request.body,
      idempotent: false,
      blocking: true,
      reset: true,
      signal: call.signal,
    });
    const bodyText = await readBody(reply.body, call.replyBytesMax);
    if (bodyText === null) return lost('reply-too-large', `the reply is over ${call.replyBytesMax} bytes`);
    return { kind: 'reply', status: reply.statusCode, headers: flatHeaders(reply.headers), bodyText };
  } catch (error) {
    const { code, message } = describe(error, call);
    return line.stood() ? lost(code, message) : notSent(code, message);
  } finally {
    await client.destroy().catch(() => undefined);
  }
}

/**
 * Wraps the connector so that one request gets one connection:
 *
 *   connect ── fails ─────────────────────────────> stood() stays false: nothing was sent
 *      │
 *      └── socket handed over ──> stood() is true ──> undici writes ──> closed early ──> undici connects again:
 *                                                                                      refused, never written twice
 */
export function oneConnection(
  connect: buildConnector.connector,
  { signal, tooLate }: { readonly signal: AbortSignal; readonly tooLate: () => boolean },
): { readonly connect: buildConnector.connector; stood(): boolean } {
  let asked = false;
  let handedOver = false;
  const once: buildConnector.connector = (options, callback) => {
    if (asked) {
      callback(new ConnectionUsedError(), null);
      return;
    }
    asked = true;
    connect(options, (...result) => {
      const [error, socket] = result;
      if (error !== null) {
        callback(error, null);
        return;
      }
      if (signal.aborted) {
        socket.destroy();
        callback(new DeadlineError(), null);
        return;
      }
      if (tooLate()) {
        socket.destroy();
        callback(new TooLateError(), null);
        return;
      }
      handedOver = true;
      callback(null, socket);
    });
  };
  return { connect: once, stood: () => handedOver };
}

class ConnectionUsedError extends Error {
  readonly code = 'connection-closed';
  constructor() {
    super('the peer closed the connection before a reply');
  }
}

class DeadlineError extends Error {
  readonly code = 'deadline';
  constructor() {
    super('the deadline passed');
  }
}

class TooLateError extends Error {
  readonly code = 'too-late';
  constructor() {
    super('the worker was held up before the call, so nothing was sent');
  }
}

async function readBody(body: Dispatcher.ResponseData['body'], bytesMax: number): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > bytesMax) return null;
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function fullPath(base: URL, request: HttpRequest): string {
  if (!/^\/(?!\/)[^?#\s\\]*$/.test(request.path)) {
    throw new TypeError(
      `a request path must start with one slash and hold no ?, #, \\ or space, but was ${JSON.stringify(request.path)}`,
    );
  }
  const query = new URLSearchParams(request.query ?? {}).toString();
  return `${base.pathname.replace(/\/+$/, '')}${request.path}${query === '' ? '' : `?${query}`}`;
}

function flatHeaders(headers: Dispatcher.ResponseData['headers']): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), typeof value === 'string' ? value : value.join(', ')]],
    ),
  );
}

const codes: Readonly<Record<string, string>> = {
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'reply-too-large',
};

/** A code and a short text. The texts of undici and Node name hosts and ports, never headers or bodies. */
function describe(error: unknown, call: Call): { code: string; message: string } {
  if (call.signal.aborted)
    return { code: 'deadline', message: `no complete reply within ${call.deadlineMs} ms` };
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown-error';
  const text = error instanceof Error && error.message !== '' ? error.message : code;
  return { code: codes[code] ?? code, message: text.slice(0, 200) };
}

function notSent(code: string, message: string): HttpResult {
  return { kind: 'not-sent', code, message };
}

function lost(code: string, message: string): HttpResult {
  return { kind: 'lost', code, message };
}

/** One timer over the whole call: waiting for a connection, connecting, sending, and the reply's last byte. */
function startDeadline(deadlineMs: DurationMs): { readonly signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new DeadlineError()), deadlineMs);
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}

type SlotRefusal = 'queue-full' | 'deadline' | 'client-closed';

const slotTexts: Readonly<Record<SlotRefusal, string>> = {
  'queue-full': 'too many requests wait for a connection already',
  deadline: 'no connection became free before the deadline',
  'client-closed': 'this client was closed',
};

/** Counts requests in flight; more than `max` wait in order, and more than `waitingMax` are refused. */
function openSlots(max: number, waitingMax: number) {
  const waiting = new Set<(refusal: SlotRefusal | null) => void>();
  const idle: (() => void)[] = [];
  let taken = 0;
  let closed = false;

  const wait = (signal: AbortSignal): Promise<SlotRefusal | null> =>
    new Promise((resolve) => {
      const settle = (refusal: SlotRefusal | null): void => {
        waiting.delete(settle);
        signal.removeEventListener('abort', expire);
        resolve(refusal);
      };
      const expire = (): void => settle('deadline');
      signal.addEventListener('abort', expire, { once: true });
      waiting.add(settle);
    });

  return {
    async take(signal: AbortSignal): Promise<SlotRefusal | null> {
      if (closed) return 'client-closed';
      if (taken < max) {
        taken += 1;
        return null;
      }
      return waiting.size >= waitingMax ? 'queue-full' : wait(signal);
    },
    /** Hands the slot to whoever waits longest, else frees it. */
    giveBack(): void {
      const next = waiting.values().next();
      if (!next.done) {
        next.value(null);
        return;
      }
      taken -= 1;
      if (taken === 0) for (const resolve of idle.splice(0)) resolve();
    },
    async close(): Promise<void> {
      closed = true;
      for (const settle of [...waiting]) settle('client-closed');
      if (taken > 0) await new Promise<void>((resolve) => idle.push(resolve));
    },
  };
}
