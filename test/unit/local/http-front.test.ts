import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type HttpFront, openHttpFront } from '../../../infra/local/http-front.ts';
import type { HttpLambdaEvent, HttpLambdaResult } from '../../../shared/lambda/http-event.ts';
import { bodyBytes, httpLambdaEventSchema } from '../../../shared/lambda/http-event.ts';

let front: HttpFront;
let seen: HttpLambdaEvent[] = [];
afterEach(async () => {
  await front.close();
  seen = [];
});

const good: HttpLambdaResult = { statusCode: 200, headers: { 'content-type': 'text/plain' }, body: 'ok' };

async function open(
  handler: (event: HttpLambdaEvent) => Promise<HttpLambdaResult> = async () => good,
): Promise<void> {
  front = await openHttpFront({ port: 0, host: '127.0.0.1' }, (event) => {
    seen.push(event);
    return handler(event);
  });
}

/** Sends these very bytes and reads until the other side closes. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(front.port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

const request = (target: string, method = 'GET'): string =>
  `${method} ${target} HTTP/1.1\r\nhost: x\r\nX-LF-MD5: abc\r\nX-Twice: 1\r\nX-Twice: 2\r\nconnection: close\r\n\r\n`;

describe('the HTTP front of one machine', () => {
  it('hands a request over as API Gateway would, header names in lower case', async () => {
    await open();
    const response = await fetch(`${front.url}/callbacks/eiotclub/token?a=1&b=%20`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-LF-Signature': 'Ab/Cd' },
      body: '{"note":"中国"}',
    });
    expect([response.status, await response.text(), response.headers.get('content-type')]).toEqual([
      200,
      'ok',
      'text/plain',
    ]);
    const [event] = seen;
    expect(httpLambdaEventSchema.safeParse(event).success).toBe(true);
    expect(event).toMatchObject({
      version: '2.0',
      rawPath: '/callbacks/eiotclub/token',
      headers: { 'content-type': 'application/json', 'x-lf-signature': 'Ab/Cd' },
      body: '{"note":"中国"}',
      isBase64Encoded: false,
      requestContext: { requestId: 'local-1', http: { method: 'POST' } },
    });
  });

  it('joins a repeated header with commas, as the gateway does', async () => {
    await open();
    await raw(request('/x'));
    expect(seen[0]?.headers).toMatchObject({ 'x-lf-md5': 'abc', 'x-twice': '1, 2' });
  });

  it('hands over bytes that are no text in Base64, without losing one', async () => {
    await open();
    const bytes = Buffer.from([0x7b, 0xff, 0x00, 0xfe, 0x7d]);
    await fetch(front.url, { method: 'POST', body: bytes });
    expect(seen[0]?.isBase64Encoded).toBe(true);
    expect(seen[0] ? Buffer.from(bodyBytes(seen[0])) : null).toEqual(bytes);
  });

  // Found in review: a target that is no URL was answered with 500.
  it.each([
    ['//', '//'],
    ['//evil.example/callbacks', '//evil.example/callbacks'],
    ['/a//b/../c', '/a//b/../c'],
    ['/%zz?x=%', '/%zz'],
    ['*', '*'],
    ['http://other.example/callbacks?q', 'http://other.example/callbacks'],
  ])('hands over the path of %s as it came', async (target, rawPath) => {
    await open(async () => ({ ...good, statusCode: 404 }));
    expect(await raw(request(target))).toMatch(/^HTTP\/1\.1 404 /);
    expect(seen[0]?.rawPath).toBe(rawPath);
  });

  it('answers HEAD without a body', async () => {
    await open();
    const response = await fetch(front.url, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });

  it('answers 413 above what the gateway would take, and does not ask the function', async () => {
    await open();
    const response = await fetch(front.url, { method: 'POST', body: Buffer.alloc(10 * 1024 * 1024 + 1) });
    expect(response.status).toBe(413);
    expect(seen).toEqual([]);
  });

  it('answers 500 with nothing in it when the function breaks its promise', async () => {
    await open(() => Promise.reject(new Error('secret detail')));
    const response = await fetch(front.url, { method: 'POST', body: '{}' });
    expect([response.status, await response.text()]).toEqual([500, '']);
  });

  it('stays up when a client goes away in the middle of its request', async () => {
    await open();
    const socket = connect(front.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"half":');
    socket.destroy();
    await new Promise((resolve) => socket.once('close', resolve));
    expect((await fetch(front.url)).status).toBe(200);
  });

  it('rejects with EADDRINUSE when the port is taken', async () => {
    await open();
    await expect(
      openHttpFront({ port: front.port, host: '127.0.0.1' }, async () => good),
    ).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });
});
