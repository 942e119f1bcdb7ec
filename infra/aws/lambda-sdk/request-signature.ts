import { createHmac, hash } from 'node:crypto';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** What a signature holds for: one service in one region on one day. */
export interface SigningScope {
  readonly region: string;
  readonly service: string;
  /** `20261122T050000Z`, as the header x-amz-date says it. */
  readonly amzDate: string;
}

/**
 * The value of the header `authorization` for a POST to `/` without a query: AWS Signature Version 4 over all given
 * headers and the body. Header names are lower case; values have no outer or doubled spaces. No part of the
 * secret shows in it.
 * Source: IAM user guide, "Create a signed AWS API request".
 */
export function authorizationOf(
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
  scope: SigningScope,
  credentials: AwsCredentials,
): string {
  const names = Object.keys(headers).sort();
  const signedHeaders = names.join(';');
  const lines = names.map((name) => `${name}:${headers[name]}\n`).join('');
  const canonicalRequest = `POST\n/\n\n${lines}\n${signedHeaders}\n${hash('sha256', body)}`;
  const day = scope.amzDate.slice(0, 8);
  const credentialScope = `${day}/${scope.region}/${scope.service}/aws4_request`;
  const text = `AWS4-HMAC-SHA256\n${scope.amzDate}\n${credentialScope}\n${hash('sha256', canonicalRequest)}`;
  const key = signingKey(day, scope, credentials.secretAccessKey);
  const signature = createHmac('sha256', key).update(text).digest('hex');
  return `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${credentialScope}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
}

function signingKey(day: string, { region, service }: SigningScope, secret: string): Uint8Array {
  const hmac = (key: string | Uint8Array, part: string): Uint8Array =>
    createHmac('sha256', key).update(part).digest();
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), 'aws4_request');
}
