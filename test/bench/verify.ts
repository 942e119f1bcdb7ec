import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { sign as signOctokit, verify as verifyOctokit } from '@octokit/webhooks-methods';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as SvixWebhook } from 'svix';
import {
  Secret,
  signCsssCallback,
  signCubeNotification,
  signEiotclubCallback,
  type Verification,
  verifyCsssCallback,
  verifyCubeNotification,
  verifyEiotclubCallback,
} from '../../shared/signing/index.ts';
import { csssBody, cubeBody, eiotclubBody } from './bodies.ts';
import { type Contender, measure } from './measure.ts';
import { type Bench, comparison, comparisonHeader } from './report.ts';

const key = 'a1b2c3d4e5f60718293a4b5c6d7e8f90';
const secret = new Secret(key);
const everyVariant = { variants: null };

/**
 * Each scheme on a body of its own provider, against two floors over the same bytes: the bare digest, and JSON.parse
 * plus the digest, since all three schemes sign what the JSON says and not its bytes.
 */
export const verifyBench: Bench = async ({ effort, quick }) => {
  const rows: (readonly (string | number)[])[] = [];
  for (const [label, bytes] of quick ? sizes.slice(0, 2) : sizes) {
    for (const scheme of [eiotclub, csss, cube]) {
      const { name, body, contender, digest } = scheme(bytes);
      const floors = floorsOf(body, digest);
      const measured = await measure([...floors, { ...contender, name: 'simhook' }], effort);
      rows.push(...comparison(`${name} ${label}`, measured, parseAndDigest));
    }
    rows.push(...comparison(`HMAC-SHA256 ${label}`, await measure(await libraries(bytes), effort), bareHmac));
  }
  return {
    about:
      'Verifying one callback. Floors over the same bytes: the bare digest; JSON.parse plus the digest (the floor of ' +
      'the ratio for our schemes, which sign the content of the JSON). The four libraries run on their own scheme, an ' +
      'HMAC-SHA256 over bytes, and do not read the JSON, except stripe and svix, which return it parsed.',
    header: comparisonHeader,
    rows,
  };
};

const sizes: readonly (readonly [string, number])[] = [
  ['256 B', 256],
  ['20 kB', 20_000],
  ['256 kB', 256_000],
];

const bareDigest = 'bare digest';
const parseAndDigest = 'JSON.parse + digest';
const bareHmac = 'bare node:crypto';

interface Scheme {
  readonly name: string;
  readonly body: Uint8Array;
  readonly contender: Omit<Contender, 'name'>;
  readonly digest: (bytes: Uint8Array) => Uint8Array;
}

function floorsOf(body: Uint8Array, digest: Scheme['digest']): readonly Contender[] {
  const given = digest(body);
  return [
    { name: bareDigest, run: () => timingSafeEqual(digest(body), given) },
    {
      name: parseAndDigest,
      run: () => {
        JSON.parse(Buffer.from(body).toString('utf8'));
        return timingSafeEqual(digest(body), given);
      },
    },
  ];
}

const sha1 = (bytes: Uint8Array): Uint8Array => createHash('sha1').update(bytes).digest();
const md5 = (bytes: Uint8Array): Uint8Array => createHash('md5').update(bytes).digest();
const hmacSha1 = (bytes: Uint8Array): Uint8Array =>
  createHmac('sha1', key, { encoding: 'hex' }).update(bytes).digest();

function eiotclub(bytes: number): Scheme {
  const signed = signEiotclubCallback(eiotclubBody(bytes), secret);
  if (!signed.ok) throw new Error(signed.detail);
  const { body } = signed;
  const run = () => good(verifyEiotclubCallback(body, [secret], everyVariant));
  return { name: 'EIOTCLUB', body, contender: { run }, digest: sha1 };
}

function csss(bytes: number): Scheme {
  const signed = signCsssCallback(csssBody(bytes), secret);
  if (!signed.ok) throw new Error(signed.detail);
  const { body, signature } = signed;
  const run = () => good(verifyCsssCallback(body, signature, [secret], everyVariant));
  return { name: 'CSSS', body, contender: { run }, digest: md5 };
}

function cube(bytes: number): Scheme {
  const signed = signCubeNotification(cubeBody(bytes), {
    keyId: 'k1',
    secret,
    timestampMs: 1_780_315_200_000,
  });
  if (!signed.ok) throw new Error(signed.detail);
  const { body, headers } = signed;
  const run = () => good(verifyCubeNotification(body, headers, [{ keyId: 'k1', secret }], everyVariant));
  return { name: 'Cube', body, contender: { run }, digest: hmacSha1 };
}

function good(verification: Verification): void {
  if (!verification.ok) throw new Error(`not verified: ${verification.reason} ${verification.detail}`);
}

/** The four libraries on their own scheme, with the same body. */
async function libraries(bytes: number): Promise<readonly Contender[]> {
  const text = JSON.stringify(cubeBody(bytes));
  const raw = Buffer.from(text);
  const hmac = (): Buffer => createHmac('sha256', key).update(raw).digest();
  const given = hmac();
  const octokitSignature = await signOctokit(key, text);
  const { webhooks } = new Stripe('sk_test_bench');
  const stripeHeader = webhooks.generateTestHeaderString({ payload: text, secret: key });
  const at = new Date();
  const whsec = `whsec_${Buffer.from(key).toString('base64')}`;
  const standard = new StandardWebhook(whsec);
  const svix = new SvixWebhook(whsec);
  const stamp = String(Math.floor(at.getTime() / 1_000));
  const standardHeaders = {
    'webhook-id': 'msg_1',
    'webhook-timestamp': stamp,
    'webhook-signature': standard.sign('msg_1', at, text),
  };
  const svixHeaders = {
    'svix-id': 'msg_1',
    'svix-timestamp': stamp,
    'svix-signature': svix.sign('msg_1', at, text),
  };
  return [
    { name: bareHmac, run: () => timingSafeEqual(hmac(), given) },
    { name: '@octokit/webhooks-methods', run: () => verifyOctokit(key, text, octokitSignature) },
    // Neither is told a tolerance of its own, so a bench that ran longer than five minutes would fail loudly.
    { name: 'stripe', run: () => webhooks.constructEvent(text, stripeHeader, key) },
    { name: 'standardwebhooks', run: () => standard.verify(text, standardHeaders) },
    { name: 'svix', run: () => svix.verify(text, svixHeaders) },
  ];
}
