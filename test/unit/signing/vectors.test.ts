import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  cubeCanonical,
  cubeNotificationVariants,
  mallChecksum,
  Secret,
  signCsssCallback,
  signCsssRequest,
  signCubeNotification,
  signCubeRequest,
  signEiotclubCallback,
  signEiotclubRequest,
  type Verification,
  verifyCsssCallback,
  verifyCsssRequest,
  verifyCubeNotification,
  verifyCubeRequest,
  verifyEiotclubCallback,
  verifyEiotclubRequest,
} from '../../../shared/signing/index.ts';
import { jsonText } from '../../../shared/signing/json-input.ts';

const any = { variants: null };
const bytes = (text: string): Uint8Array => Buffer.from(text);
const params = z.record(z.string(), z.json());

const load = <T>(name: string, schema: z.ZodType<T>): T =>
  schema.parse(JSON.parse(readFileSync(new URL(`vectors/${name}`, import.meta.url), 'utf8')));

const eiotclub = load(
  'eiotclub-vectors.json',
  z.object({
    vectors: z.array(
      z.object({
        id: z.string(),
        kind: z.enum(['api', 'webhook']),
        origin: z.enum(['published', 'sdk-test-inputs', 'derived', 'ambiguous']),
        negative: z.boolean().optional(),
        secret: z.string().nullable(),
        params: params.optional(),
        note: z.string().optional(),
        stringToSign: z.string().optional(),
        expected: z.string().optional(),
        sign: z.string().optional(),
        readings: z
          .array(z.object({ reading: z.string(), stringToSign: z.string(), expected: z.string() }))
          .optional(),
      }),
    ),
  }),
).vectors;

const linksfield = load(
  'linksfield-vectors.json',
  z.object({
    vectors: z.array(
      z.object({
        id: z.string(),
        kind: z.enum(['published', 'published-secret-unknown', 'published-canonical-string', 'synthetic']),
        api: z.string(),
        secret: z.string().nullable(),
        input: params,
        canonical: z.string().optional(),
        canonical_candidate: z.string().optional(),
        expected: z.string().optional(),
        expected_canonical: z.string().optional(),
        computed: z.string().nullable().optional(),
        computed_canonical: z.string().optional(),
        reproduces: z.boolean().nullable().optional(),
        expected_if_digest_bytes: z.string().optional(),
        expected_if_hex_text: z.string().optional(),
        sorted_message: z.string().optional(),
        header_string: z.string().optional(),
        candidates: z.record(z.string(), z.string()).optional(),
      }),
    ),
  }),
).vectors;

/** Ids of the vectors that a test below has checked. */
const used = new Set<string>();

const mask = (text: string, secret: string): string => `${text.slice(0, -secret.length)}<secret>`;

describe('EIOTCLUB vectors', () => {
  const signed = eiotclub.filter((v) => v.secret !== null && v.expected !== undefined && !v.negative);

  for (const v of signed.filter(({ kind }) => kind === 'api')) {
    it(`signs and verifies the request ${v.id}`, () => {
      const secret = new Secret(v.secret ?? '');
      const { sign, text } = signEiotclubRequest(v.params ?? {}, secret);
      expect(sign).toBe(v.expected);
      expect(text).toBe(mask(v.stringToSign ?? '', v.secret ?? ''));
      const body = bytes(JSON.stringify({ ...v.params, sign: v.expected }));
      expect(verifyEiotclubRequest(body, [secret], any)).toMatchObject({ ok: true, keyIndex: 0 });
      used.add(v.id);
    });
  }

  for (const v of signed.filter(({ kind }) => kind === 'webhook')) {
    it(`signs and verifies the callback ${v.id}`, () => {
      const secret = new Secret(v.secret ?? '');
      const made = signEiotclubCallback(v.params ?? {}, secret);
      expect(made).toMatchObject({ sign: v.expected, text: mask(v.stringToSign ?? '', v.secret ?? '') });
      const body = bytes(JSON.stringify({ ...v.params, sign: v.expected }));
      const signedAtMs = Number(v.params?.timestamp) * 1000;
      expect(verifyEiotclubCallback(body, [secret], any)).toMatchObject({ ok: true, signedAtMs });
      used.add(v.id);
    });
  }

  const variantOf: Record<string, readonly [string, string]> = {
    'ambiguous-float-lexeme': [
      'php-json/bool-digit/empty-object-dropped',
      'raw-text/bool-digit/empty-object-dropped',
    ],
    'ambiguous-boolean': [
      'raw-text/bool-digit/empty-object-dropped',
      'raw-text/bool-literal/empty-object-dropped',
    ],
    'ambiguous-empty-object': [
      'raw-text/bool-digit/empty-object-dropped',
      'raw-text/bool-digit/empty-object-kept',
    ],
  };
  for (const v of eiotclub.filter(({ origin }) => origin === 'ambiguous')) {
    it(`accepts each reading of ${v.id} and says which one it was`, () => {
      const raw = /raw body: (\{.*?\})(?:\.|$)(?: |$)/.exec(v.note ?? '')?.[1] ?? '';
      const secret = new Secret(v.secret ?? '');
      expect(v.readings).toHaveLength(2);
      for (const [index, reading] of (v.readings ?? []).entries()) {
        const variant = variantOf[v.id]?.[index];
        const made = signEiotclubCallback(bytes(raw), secret, variant);
        expect(made).toMatchObject({ sign: reading.expected });
        const body = bytes(raw.replace(/\}$/, `,"sign":"${reading.expected}"}`));
        expect(verifyEiotclubCallback(body, [secret], any)).toMatchObject({ ok: true, variant });
      }
      used.add(v.id);
    });
  }

  it('rejects a callback whose appkey was signed (negative-appkey-signed-in-webhook)', () => {
    const v = eiotclub.find(({ negative }) => negative === true);
    const body = bytes(JSON.stringify({ ...v?.params, sign: v?.sign }));
    const verdict = verifyEiotclubCallback(body, [new Secret(v?.secret ?? '')], any);
    expect(verdict).toMatchObject({ ok: false, reason: 'wrong-signature' });
    used.add(v?.id ?? '');
  });

  it('takes the published sample without a secret as well formed, and rejects it', () => {
    const v = eiotclub.find(({ secret }) => secret === null);
    const body = bytes(JSON.stringify({ ...v?.params, sign: v?.expected }));
    const verdict = verifyEiotclubCallback(body, [new Secret('not-the-secret')], any);
    expect(verdict).toMatchObject({ ok: false, reason: 'wrong-signature' });
    const made = signEiotclubCallback(v?.params ?? {}, new Secret('x'));
    expect(made).toMatchObject({ text: v?.stringToSign?.replace('<unpublished>', '<secret>') });
    used.add(v?.id ?? '');
  });
});

describe('Linksfield vectors', () => {
  for (const v of linksfield.filter(({ api }) => api === 'mall/topup')) {
    it(`computes the Mall checksum of ${v.id}`, () => {
      const { sign, text } = mallChecksum(v.input);
      expect(text).toBe(v.canonical);
      expect(sign).toBe(v.computed);
      expect(sign === v.expected).toBe(v.reproduces);
      used.add(v.id);
    });
  }

  for (const v of linksfield.filter(({ kind }) => kind === 'published-secret-unknown')) {
    it(`prints the text of ${v.id} and takes its sign as well formed`, () => {
      const invented = new Secret('not-the-secret');
      expect(signCsssRequest(v.input, invented).text).toBe(v.canonical_candidate);
      expect(Buffer.from(v.expected ?? '', 'base64')).toHaveLength(20);
      const body = bytes(JSON.stringify({ ...v.input, sign: v.expected }));
      expect(verifyCsssRequest(body, [invented], any)).toMatchObject({
        ok: false,
        reason: 'wrong-signature',
      });
      used.add(v.id);
    });
  }

  for (const v of linksfield.filter(({ api, kind }) => api === 'csss' && kind === 'synthetic')) {
    it(`signs and verifies ${v.id}`, () => {
      const secret = new Secret(v.secret ?? '');
      expect(signCsssRequest(v.input, secret)).toEqual({ sign: v.expected, text: v.canonical });
      const body = bytes(JSON.stringify({ ...v.input, sign: v.expected }));
      const signedAtMs = Number(v.input.timestamp) * 1000;
      expect(verifyCsssRequest(body, [secret], any)).toMatchObject({ ok: true, signedAtMs });
      used.add(v.id);
    });
  }

  for (const v of linksfield.filter(({ api }) => api === 'cube-signature-v2')) {
    it(`builds and signs the text of ${v.id}`, () => {
      const { timestamp, nonce, 'x-sign-uri': path, ...fields } = v.input;
      const post = v.id.includes('-post-');
      const request = {
        method: post ? 'POST' : 'GET',
        path: String(path),
        query: post ? {} : fields,
        body: post ? fields : null,
        timestampMs: Number(timestamp),
        nonce: String(nonce),
      };
      expect(cubeCanonical(request)).toBe(v.computed_canonical);
      expect(cubeCanonical(request) === v.expected_canonical).toBe(v.reproduces);
      const { authorization, canonical } = signCubeRequest(request, {
        keyId: 'k1',
        privateKey: rsa.privateKey,
      });
      expect(canonical).toBe(v.computed_canonical);
      expect(verifyCubeRequest(request, authorization, rsa.publicKey)).toMatchObject({
        ok: true,
        variant: 'compact',
      });
      used.add(v.id);
    });
  }

  it('prints the text of the withdrawn signature v1, which keeps the types of query values', () => {
    const v = linksfield.find(({ id }) => id === 'cube-v1-get-usage');
    expect(jsonText(v?.input, 'sorted')).toBe(v?.expected_canonical);
    used.add(v?.id ?? '');
  });

  it('accepts x-lf-md5 as Base64 of the digest and of its hex text', () => {
    const v = linksfield.find(({ id }) => id === 'syn-csss-callback-md5');
    const secret = new Secret(v?.secret ?? '');
    const body = bytes(JSON.stringify(v?.input));
    for (const [output, signature] of [
      ['digest-bytes', v?.expected_if_digest_bytes],
      ['hex-text', v?.expected_if_hex_text],
    ] as const) {
      const variant = `object/strings-unescaped/empty-dropped/${output}`;
      expect(verifyCsssCallback(body, signature, [secret], any)).toMatchObject({ ok: true, variant });
      const made = signCsssCallback(body, secret, variant);
      expect(made).toMatchObject({ signature, text: mask(v?.canonical ?? '', v?.secret ?? '') });
    }
    used.add(v?.id ?? '');
  });

  it('accepts all 12 readings of a Cube notification and names each as the vectors do', () => {
    const v = linksfield.find(({ id }) => id === 'syn-cube-notification-variants');
    const secret = new Secret(v?.secret ?? '');
    const body = bytes(JSON.stringify(v?.input));
    expect(Object.keys(v?.candidates ?? {}).sort()).toEqual([...cubeNotificationVariants].sort());
    for (const [variant, signature] of Object.entries(v?.candidates ?? {})) {
      const made = signCubeNotification(body, { keyId: 'k1', secret, timestampMs: 1683524066000 }, variant);
      if (!made.ok) throw new Error(made.detail);
      expect(made.headers['x-lf-signature']).toBe(`k1/${signature}`);
      expect(made.text.startsWith(v?.sorted_message ?? '?')).toBe(true);
      expect(made.text.endsWith(v?.header_string ?? '?')).toBe(true);
      const verdict: Verification = verifyCubeNotification(
        body,
        made.headers,
        [{ keyId: 'k1', secret }],
        any,
      );
      expect(verdict).toEqual({ ok: true, variant, keyIndex: 0, signedAtMs: 1683524066000 });
    }
    used.add(v?.id ?? '');
  });
});

const rsa = makeRsa();

function makeRsa(): { readonly privateKey: Secret; readonly publicKey: string } {
  const pem = { type: 'spki', format: 'pem' } as const;
  const pair = generateKeyPairSync('rsa', {
    modulusLength: 1024,
    publicKeyEncoding: pem,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { privateKey: new Secret(pair.privateKey), publicKey: pair.publicKey };
}

it('has checked every vector of both files', () => {
  // A vector that no test has looked at would prove nothing: adding one to a file must add a check.
  const all = [...eiotclub, ...linksfield].map(({ id }) => id);
  expect(all).toHaveLength(15 + 19);
  expect([...used].sort()).toEqual([...all].sort());
});
