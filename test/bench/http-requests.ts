import type { HttpLambdaEvent } from '../../shared/lambda/http-event.ts';
import { Secret, signEiotclubCallback } from '../../shared/signing/index.ts';
import { simulatorDefaults } from '../provider-simulator/simulator.ts';

/** The moment at which the bench's callbacks are signed. */
export const signedAtMs = Date.UTC(2026, 5, 1, 12);

const secret = new Secret(simulatorDefaults.eiotclub.callbackSecret);

/** A low-data alert of EIOTCLUB for SIM number `index`, signed; each has an id of its own. About 250 bytes. */
export function alertBody(index: number, sims = Number.POSITIVE_INFINITY, atMs = signedAtMs): string {
  return signedBody(index, sims, atMs, { event: 'FlowAlert', alert_type: 1, alert_value: '98.5' });
}

/** The notice that a card went to an IMEI pool, of which no rule of the local stage speaks. Source: protocols/eiotclub.md, section 3. */
export function cardMovedBody(index: number): string {
  return signedBody(index, Number.POSITIVE_INFINITY, signedAtMs, {
    event: 'CardMovedInIMEIPool',
    plockGroupId: 1024,
  });
}

function signedBody(
  index: number,
  sims: number,
  atMs: number,
  what: Readonly<Record<string, string | number>>,
): string {
  const signed = signEiotclubCallback(
    {
      id: `bench-${index}`,
      timestamp: String(Math.floor(atMs / 1_000)),
      nonce: '95977',
      iccid: `89852${String(10_000_000_000_000 + (index % sims)).slice(1)}`,
      ...what,
    },
    secret,
  );
  if (!signed.ok) throw new Error(signed.detail);
  return Buffer.from(signed.body).toString('utf8');
}

export const callbackPath = '/callbacks/eiotclub';

/** What API Gateway hands over for it: the whole of payload format 2.0, as the alternatives' schemas ask for it. */
export function alertRequest(body: string): HttpLambdaEvent & { readonly [name: string]: unknown } {
  return {
    version: '2.0',
    routeKey: 'POST /callbacks/{provider}',
    rawPath: callbackPath,
    rawQueryString: '',
    headers: {
      accept: '*/*',
      'content-length': String(Buffer.byteLength(body)),
      'content-type': 'application/json',
      host: 'abcdefghij.execute-api.eu-central-1.amazonaws.com',
      'user-agent': 'okhttp/4.9.3',
      'x-amzn-trace-id': 'Root=1-665b0f80-0123456789abcdef01234567',
      'x-forwarded-for': '198.51.100.7',
      'x-forwarded-port': '443',
      'x-forwarded-proto': 'https',
    },
    pathParameters: { provider: 'eiotclub' },
    body,
    isBase64Encoded: false,
    requestContext: {
      accountId: '123456789012',
      apiId: 'abcdefghij',
      domainName: 'abcdefghij.execute-api.eu-central-1.amazonaws.com',
      domainPrefix: 'abcdefghij',
      http: {
        method: 'POST',
        path: callbackPath,
        protocol: 'HTTP/1.1',
        sourceIp: '198.51.100.7',
        userAgent: 'okhttp/4.9.3',
      },
      requestId: 'JKJaXmPLvHcESHA=',
      routeKey: 'POST /callbacks/{provider}',
      stage: '$default',
      time: '01/Jun/2026:12:00:00 +0000',
      timeEpoch: signedAtMs,
    } as HttpLambdaEvent['requestContext'],
  };
}
