import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';

/** What the proxy does to one request instead of passing it on. */
export type Fault =
  /** Answers itself, in the service's JSON error form; the engine sees nothing. */
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }
  /** Lets the engine do the work, then breaks the connection before the answer. */
  | { readonly kind: 'lose-answer' }
  /** Lets the engine do the work, then does something else before it breaks the connection. */
  | { readonly kind: 'lose-answer-after'; readonly meanwhile: () => Promise<void> }
  /** Breaks the connection before the engine sees the request. */
  | { readonly kind: 'lose-request' }
  /** Passes the request on and changes the answer's body. */
  | { readonly kind: 'rewrite'; readonly rewrite: (body: string) => string };

export interface FaultyProxy {
  readonly endpoint: string;
  /** Operations seen since the last `plan`, such as `PutItem`. */
  readonly seen: string[];
  /** The faults of the next requests, one each; `null` passes a request on. Later requests are passed on. */
  plan(...faults: readonly (Fault | null)[]): void;
  stop(): Promise<void>;
}

/** The body of an error answer of DynamoDB or SQS. Source: DynamoDB developer guide, "Low-level API", error responses. */
export function serviceError(status: number, name: string, message = 'injected'): Fault {
  return { kind: 'answer', status, body: JSON.stringify({ __type: `com.amazonaws#${name}`, message }) };
}

/** A proxy before an engine that fails as planned, on real connections, so that the SDK meets what it meets in AWS. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const planned: (Fault | null)[] = [];
  const seen: string[] = [];
  const server = createServer((incoming, outgoing) => {
    seen.push(String(incoming.headers['x-amz-target'] ?? '').replace(/^.*\./, ''));
    handle(target, planned.shift() ?? null, incoming, outgoing).catch((error: unknown) => {
      outgoing.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  });
  const port = await listen(server);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    seen,
    plan: (...faults) => {
      planned.splice(0, planned.length, ...faults);
      seen.length = 0;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function handle(
  target: string,
  fault: Fault | null,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const body = await readAll(incoming);
  if (fault?.kind === 'answer') {
    outgoing.writeHead(fault.status, { 'content-type': 'application/x-amz-json-1.0' }).end(fault.body);
    return;
  }
  if (fault?.kind === 'lose-request') {
    incoming.socket.destroy();
    return;
  }
  const answer = await forward(target, incoming, body);
  if (fault?.kind === 'lose-answer-after') await fault.meanwhile();
  if (fault?.kind === 'lose-answer' || fault?.kind === 'lose-answer-after') {
    incoming.socket.destroy();
    return;
  }
  const text = fault?.kind === 'rewrite' ? fault.rewrite(answer.body.toString('utf8')) : answer.body;
  outgoing.writeHead(answer.status, { 'content-type': answer.contentType }).end(text);
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

function forward(target: string, incoming: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { connection: _connection, ...headers } = incoming.headers;
    const options = { method: incoming.method ?? 'POST', headers, agent: false as const };
    const asked = request(new URL(incoming.url ?? '/', target), options, (response) => {
      readAll(response).then((received) => {
        resolve({
          status: response.statusCode ?? 500,
          contentType: response.headers['content-type'] ?? 'application/x-amz-json-1.0',
          body: received,
        });
      }, reject);
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (typeof address === 'object' && address !== null) resolve(address.port);
      else reject(new Error('the proxy has no port'));
    });
  });
}
