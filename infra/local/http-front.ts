import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HttpLambdaEvent, HttpLambdaResult } from '../../shared/lambda/http-event.ts';

/** Refuses to read more than API Gateway would: 10 MB. Source: API Gateway quotas, HTTP API payload size. */
const gatewayBytesMax = 10 * 1024 * 1024;

/** A client that sends its request slower than this is cut off, as the gateway would. */
const requestTimeoutMs = 30_000;

export interface HttpFront {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

export type HttpHandler = (event: HttpLambdaEvent) => Promise<HttpLambdaResult>;

/**
 * The HTTP API of one machine: turns each request into the payload that API Gateway would hand over (format 2.0), so
 * that the same handler answers in both worlds. Listens on loopback unless told otherwise.
 */
export async function openHttpFront(
  options: { readonly port: number; readonly host: string },
  handler: HttpHandler,
): Promise<HttpFront> {
  let requests = 0;
  const server = createServer({ requestTimeout: requestTimeoutMs }, (request, response) => {
    requests += 1;
    void answer(request, response, `local-${requests}`, handler);
  });
  await listen(server, options.port, options.host);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.host === '0.0.0.0' ? '127.0.0.1' : options.host}:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
  handler: HttpHandler,
): Promise<void> {
  try {
    const body = await readAll(request);
    if (body === null) {
      response.writeHead(413).end();
      return;
    }
    const result = await handler(toLambdaEvent(request, body, requestId));
    const length = Buffer.byteLength(result.body);
    response.writeHead(result.statusCode, { ...result.headers, 'content-length': length }).end(result.body);
  } catch {
    // The client went away, or the handler broke its promise not to throw: either way there is no good answer.
    if (!response.headersSent) response.writeHead(500);
    response.end();
  }
}

/** Null above the limit. The rest is read and dropped, since a client that still sends does not read its answer. */
async function readAll(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes <= gatewayBytesMax) chunks.push(chunk);
  }
  return bytes > gatewayBytesMax ? null : Buffer.concat(chunks);
}

/** Bytes that are not UTF-8 travel as Base64, as they do through the gateway. */
export function toLambdaEvent(request: IncomingMessage, body: Buffer, requestId: string): HttpLambdaEvent {
  // Taken apart by hand: a target such as `//` is no URL, and a host in it must not become part of the path.
  const [rawPath = '/'] = (request.url ?? '/').split('?');
  const text = body.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(body);
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(',') : (value ?? ''),
    ]),
  );
  return {
    version: '2.0',
    rawPath,
    headers,
    body: isText ? text : body.toString('base64'),
    isBase64Encoded: !isText,
    requestContext: { requestId, http: { method: request.method ?? 'GET' } },
  };
}
